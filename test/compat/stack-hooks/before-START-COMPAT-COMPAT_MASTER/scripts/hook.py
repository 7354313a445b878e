import compat_record

compat_record.run("before-START-COMPAT-COMPAT_MASTER")
