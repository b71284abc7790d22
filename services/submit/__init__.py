"""Submit: files, folders, URLs and objects as jobs on the topic, and how they fared."""
