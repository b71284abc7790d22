"""The processes of reelpage: command line and local runner. The only home of the environment."""
