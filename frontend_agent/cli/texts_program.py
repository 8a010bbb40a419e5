"""What the command line says about the program itself: (English, 简体中文). See `texts.py`."""

PROGRAM_TEXTS: dict[str, tuple[str, str]] = {
    "run.supervised": (
        "For a service manager that is not systemd (Windows): READY=1 and WATCHDOG=1 on standard output; stops when standard"
        " input ends. Not tested on Windows.",
        "供 systemd 以外的服务管理器（Windows）使用：在标准输出报告 READY=1 与 WATCHDOG=1；标准输入关闭即有序停止。未在 Windows 上测试过。",
    ),
    "program": (
        "The installed program: is it what was signed, and what is it made of?",
        "已安装的程序：是否与签名一致、由哪些组件构成。",
    ),
    "program.verify": (
        "Hold every file against what its maker signed: the running program, or a file that was brought here"
        " (.tar.zst by itself; .deb and .rpm with SHA256SUMS and SHA256SUMS.sig beside them). Exit 1 if one bit differs.\n\n"
        "Example: frontend-agent program verify /media/usb/frontend-agent-1.2.0-x86_64.tar.zst",
        "逐一核对文件与发布者签名是否一致：默认核对正在运行的程序，也可核对带来的文件"
        "（.tar.zst 单独即可；.deb、.rpm 需与 SHA256SUMS 和 SHA256SUMS.sig 放在一起）。有一位不同即退出码 1。\n\n"
        "示例：frontend-agent program verify /media/usb/frontend-agent-1.2.0-x86_64.tar.zst",
    ),
    "program.path": ("A file or a folder (default: the running program).", "文件或目录（默认：正在运行的程序）。"),
    "program.key": (
        "Trust this public key (PEM) and no other; default: those of the running program and of /etc/frontend-agent/release-keys.",
        "仅信任此公钥（PEM）；默认信任当前程序自带的与 /etc/frontend-agent/release-keys 中的公钥。",
    ),
    "program.contents": ("Every part of the program with its version and licence.", "程序的全部组件、版本与许可证。"),
    "program.cyclonedx": ("The whole bill of materials in CycloneDX.", "输出完整的 CycloneDX 物料清单。"),
    "head.part": ("Part", "组件"),
    "head.part_version": ("Version", "版本"),
    "head.licence": ("Licence", "许可证"),
    "said.program_verified": ("{path}: as it was signed ({found}).", "{path}：与签名一致（{found}）。"),
    "docs": (
        "Where the guide is on this machine: pages that any browser reads from the disk, without a network. The folder may be copied.\n\n"
        "Example: frontend-agent docs",
        "本手册在本机的位置：任何浏览器可直接从磁盘打开，不需要网络；整个文件夹可以复制到别处。\n\n示例：frontend-agent docs",
    ),
    "docs.open": ("Open it in this machine's browser.", "在本机浏览器中打开。"),
    "docs.not_here": (
        "{path}: no such file; in a checkout tools/site makes it, else the package was not installed whole (frontend-agent program verify)",
        "{path}：没有该文件；源码目录中请运行 tools/site，否则程序包安装不完整（frontend-agent program verify）",
    ),
    "docs.no_browser": (
        "no browser was found here; open {path} where there is one",
        "本机没有浏览器；请在有浏览器的机器上打开 {path}",
    ),
}
