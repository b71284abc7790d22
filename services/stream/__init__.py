"""The stream: jobs on Kafka to rows in object storage, exactly once, by ingest workers."""
