"""Every file that is read or written: what is believed of it, how large it may be, and how its text is shown."""
