-- Fills the tables of a reading room; room_scale.py puts in how many patients and cases.

CREATE TEMP TABLE t AS
SELECT id AS team, low, low + part - 1 AS high FROM accounts_team
JOIN (VALUES ('Central', 0, 70), ('North', 70, 15), ('South', 85, 10), ('Children', 95, 5))
  AS parts(name, low, part) USING (name);

CREATE TEMP TABLE somebody AS SELECT
(SELECT id FROM accounts_user WHERE username = 'one') AS one,
(SELECT id FROM accounts_user WHERE username = 'all') AS other,
(SELECT id FROM analyses_modelbundle WHERE name = 'adult-opacity' LIMIT 1) AS bundle;

CREATE TEMP TABLE p AS SELECT i AS n, gen_random_uuid() AS id, team,
  (ARRAY['Al','Ber','Cor','Dan','Er','Fal','Gar','Hol','Iv','Jan','Kor','Lan','Mor','Nov'])[1 + i % 14]
  || (ARRAY['ander','bach','city','ovi','en','ström','elli','man','son','ova'])[1 + i / 14 % 10]
  || i / 140 AS family,
  (ARRAY['Anna','Bo','Chen','Dara','Eva','Femi','Gus','Hana','Ines','Jo'])[1 + i * 7 % 10] AS given
FROM generate_series(0, :patients - 1) i JOIN t ON i % 100 BETWEEN low AND high;

INSERT INTO patients_patient(id, created_at, version, pseudonym, family_name, given_name,
  birth_date, sex, history, searchable, team_id, deleted_at)
SELECT id, now() - random() * interval '1400 days', 1,
  upper(substr(md5(n::text), 1, 3) || '-' || lpad(to_hex(n), 5, '0')), family, given,
  date '1935-01-01' + n * 13 % 30000, (ARRAY['F','M'])[1 + n % 2], '',
  lower(replace(family, 'ö', 'o') || ' ' || given), team,
  CASE WHEN n % 200 = 7 THEN now() END FROM p;

INSERT INTO patients_identifier(id, created_at, system, value, patient_id, team_id)
SELECT gen_random_uuid(), now(), 'PID', 'N' || n, id, team FROM p;

CREATE TEMP TABLE c AS SELECT i AS n, gen_random_uuid() AS id, gen_random_uuid() AS film,
  gen_random_uuid() AS reading, gen_random_uuid() AS report, p.id AS patient, p.team,
  now() - i * interval '2 minutes' AS at
FROM generate_series(1, :cases) i JOIN p ON p.n = i::bigint * 7919 % :patients;

INSERT INTO cases_case(id, created_at, version, title, question, acquired_on, urgency, status,
  read_first, study_uid, accession, team_id, patient_id, deleted_at)
SELECT id, at, 1, 'Chest PA', 'Cough?', at::date,
  CASE WHEN n % 50 = 0 THEN 0 WHEN n % 7 = 0 THEN 1 ELSE 2 END,
  CASE n % 8 WHEN 0 THEN 'new' WHEN 1 THEN 'reading' ELSE 'reported' END,
  false, '', '', team, patient, CASE WHEN n % 100 = 3 THEN now() END FROM c;

INSERT INTO cases_instance(id, created_at, name, media_type, size, sha256, pixels_sha256, sop_uid,
  series_uid, rows, columns, bits, lossy, view_position, remarks, case_id)
SELECT film, at, 'film.dcm', 'application/dicom', 1, md5(n::text), md5(n::text), '', '',
  3000, 3000, 12, false, CASE WHEN n % 5 = 0 THEN 'AP' ELSE 'PA' END, '[]', id FROM c;

INSERT INTO analyses_reading(id, created_at, engine, engine_version, image_sha256, pixels_sha256,
  refusal, findings, refer, self_test, map_facts, case_id, team_id, instance_id, bundle_id)
SELECT reading, at, 'server', '', '', '',
  CASE WHEN n % 20 = 0 THEN '{"reason": "x", "message": "m"}'::jsonb END, '[]', n % 7 = 0,
  '{}', '{}', id, team, film, bundle FROM c, somebody WHERE n % 2 = 0;

INSERT INTO analyses_called(id, created_at, finding, probability, positive, made_at, reading_id,
  case_id, team_id)
SELECT gen_random_uuid(), at, f, random(), random() < .3, at, reading, id, team
FROM c, unnest(ARRAY['Pneumonia','Effusion','Mass','Nodule','Edema']) f
WHERE n % 2 = 0 AND n % 20 <> 0;

INSERT INTO annotations_findingdecision(id, created_at, finding, decision, finding_after, note,
  original, current, case_id, team_id, reading_id, author_id)
SELECT gen_random_uuid(), at, f, CASE WHEN n % 16 = 4 THEN 'reject' ELSE 'accept' END, '', '',
  '{"positive": true}', true, id, team, reading, CASE who WHEN 1 THEN one ELSE other END
FROM c, somebody, unnest(ARRAY['Pneumonia','Mass']) f, generate_series(1, 2) who
WHERE n % 4 = 0 AND n % 20 <> 0 AND (who = 1 OR n % 8 = 0);

INSERT INTO annotations_box(id, created_at, finding, x_min, y_min, x_max, y_max, certainty, note,
  source, saved_in, changed_at, author_id, case_id, instance_id)
SELECT gen_random_uuid(), at, 'Pneumonia', 10, 10, 90, 90, 0.75, '', 'reader', 1, at, one, id, film
FROM c, somebody WHERE n % 5 = 0;

INSERT INTO reports_report(id, created_at, version, findings, comparison, impression, key_images,
  digest, signed_at, signed_by_id, author_id, case_id)
SELECT report, at, 1, '[{"finding": "Pneumonia", "certainty": "present", "note": ""}]', '',
  'Pneumonia.', '[]', '', at, one, one, id FROM c, somebody WHERE n % 8 > 1;

INSERT INTO reports_reported(id, created_at, finding, certainty, signed_at, report_id, case_id,
  team_id)
SELECT gen_random_uuid(), at, f, CASE WHEN random() < .5 THEN 'present' ELSE 'absent' END, at,
  report, id, team FROM c, unnest(ARRAY['Pneumonia','Effusion']) f WHERE n % 8 > 1;

INSERT INTO core_auditevent(number, at, action, object_type, object_id, patient_id, team_id,
  address, detail, seal, actor_id)
SELECT n, at, 'view', CASE WHEN n % 9 = 0 THEN 'patient' ELSE 'case' END,
  CASE WHEN n % 9 = 0 THEN patient ELSE id END, patient, team, '127.0.0.1', '{}',
  md5(n::text), CASE WHEN n % 3 = 0 THEN one ELSE other END FROM c, somebody;
