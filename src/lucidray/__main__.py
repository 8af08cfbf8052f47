"""``python -m lucidray``: the command line, for launchers that want a module, as torchrun does."""

from lucidray.cli import main

if __name__ == "__main__":
    main()
