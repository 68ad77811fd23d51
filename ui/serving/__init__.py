"""What stands between the network and the page: who may ask, how much they may send, and what a browser gets first."""
