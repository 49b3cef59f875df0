"""The configuration of the embedded Postgres server.

What belongs here: options on the command line, and the contents of the configuration files. What
does not: paths, ports and marks, which differ from start to start (`server`).
"""

from __future__ import annotations

from typing import Final

SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    # Files in the data folder: /dev/shm is 64 MB in containers, too small to build an index,
    # and systemd empties it of a user's segments at logout.
    "dynamic_shared_memory_type": "mmap",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_line_prefix": "%m [%p] ",
}
SAFE_SETTINGS = {
    # No program.
    **dict.fromkeys(
        (
            *("archive_command", "archive_cleanup_command", "restore_command"),
            *("recovery_end_command", "ssl_passphrase_command"),
        ),
        "",
    ),
    "archive_mode": "off",
    # No code.
    **dict.fromkeys(
        (
            *("shared_preload_libraries", "session_preload_libraries", "local_preload_libraries"),
            *("archive_library", "oauth_validator_libraries"),
        ),
        "",
    ),
    "dynamic_library_path": "$libdir",
    "extension_control_path": "$system",
    "jit_provider": "llvmjit",
    # No other way in, and no connection to another server.
    "ssl": "off",
    "bonjour": "off",
    "krb_server_keyfile": "",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "synchronous_standby_names": "",
    "password_encryption": "scram-sha-256",
    # No other file, and none that the next start would delete.
    "allow_alter_system": "off",
    "external_pid_file": "",
    # No document text in the log.
    "log_statement": "none",
    "log_duration": "off",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_autovacuum_min_duration": "-1",
    **dict.fromkeys(
        (
            *("debug_print_parse", "debug_print_rewritten", "debug_print_plan"),
            *("log_parser_stats", "log_planner_stats", "log_executor_stats"),
            *("log_statement_stats", "log_replication_commands", "log_lock_waits"),
        ),
        "off",
    ),
}
"""What the files of the data folder may not decide: its programs, libraries, ways in and log."""
CONFIGURATION: Final = """\
# Rewritten at every start. Postgres does not read postgresql.conf of the data folder.
# Iterations make guessing of weak passwords slower. For 32 random bytes they only make each
# connection slower.
scram_iterations = 1
timezone = 'UTC'
log_timezone = 'UTC'
default_text_search_config = 'pg_catalog.english'
"""
ACCESS_RULES: Final = "# Rewritten at every start.\nhost all all 127.0.0.1/32 scram-sha-256\n"
