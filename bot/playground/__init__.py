"""A loopback Discord, a stand-in model server and a web page to try the bot in."""
