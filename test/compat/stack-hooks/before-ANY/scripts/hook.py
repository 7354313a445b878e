import compat_record

compat_record.run("before-ANY")
