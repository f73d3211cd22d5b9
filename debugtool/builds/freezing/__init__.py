"""What runs in the plugin's own Python when a frozen build is made, and in the program itself (launcher.py)."""
