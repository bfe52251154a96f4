"""`python -m josrc_keras.evaluate`, as recorded runs quote it; see `commands.evaluate`."""

from josrc_keras.commands.evaluate import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
