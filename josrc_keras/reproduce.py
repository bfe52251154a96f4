"""`python -m josrc_keras.reproduce`, as recorded runs quote it; see `commands.reproduce`."""

from josrc_keras.commands.reproduce import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
