"""The way to the hospital's archive: films that come by themselves, results that go back."""
