"""`python -m torchmedic`."""

from torchmedic.cli import main

if __name__ == "__main__":
    main()
