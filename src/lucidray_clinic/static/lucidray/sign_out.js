// Signing out clears what this browser still holds of one's unsent work, after a question.
const PATIENCE_MS = 2_000;

function asked(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = () => reject(request.error);
  });
}

async function opened() {
  const known = (await indexedDB.databases()).some(({ name }) => name === "lucidray");
  return known ? asked(indexedDB.open("lucidray")) : null;
}

async function cleared(database, { user, unsent }) {
  if (!database.objectStoreNames.contains("drafts")) return true;
  const store = () => database.transaction("drafts", "readwrite").objectStore("drafts");
  const own = (await asked(store().getAllKeys())).filter((key) => key.endsWith(`:${user}`));
  if (own.length && !window.confirm(unsent)) return false;
  const kept = store();
  await Promise.all(own.map((key) => asked(kept.delete(key))));
  return true;
}

async function mayLeave(form) {
  const database = await opened();
  if (!database) return true;
  try {
    return await cleared(database, form.dataset);
  } finally {
    database.close();
  }
}

for (const form of document.querySelectorAll("form[data-unsent]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const giveUp = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, true));
    const leave = await Promise.race([mayLeave(form).catch(() => true), giveUp]);
    if (leave) form.submit();
  });
}
