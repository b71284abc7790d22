"""Topic: jobs on Kafka, as they are sent and read."""
