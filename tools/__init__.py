"""Programs that maintain this repository. They are not part of the installed package."""
