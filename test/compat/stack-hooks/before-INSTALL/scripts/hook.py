import compat_record

compat_record.run_hook_first("before-ANY")
compat_record.run("before-INSTALL")
