import compat_record

compat_record.run("after-START-COMPAT-COMPAT_MASTER")
