using System.Text;
using Dbt.Cli.Packages;

namespace Dbt.Cli.Guests;

/// <summary>Fills the root file system of the guest "debian".</summary>
internal static class DebianRoot
{
    private const UnixFileMode Executable = (UnixFileMode)0x1ED, Plain = (UnixFileMode)0x1A4;

    // Where programs that administer a system are looked for by their whole path; all other applets are in /usr/bin.
    private static readonly string[] Administration =
    [
        "init", "poweroff", "reboot", "halt", "modprobe", "insmod", "rmmod", "lsmod", "depmod", "ifconfig", "ip", "route", "udhcpc", "getty", "mke2fs", "switch_root",
        "sysctl", "losetup", "blkid", "fdisk", "swapon", "swapoff", "mkswap", "syslogd", "klogd", "crond",
    ];

    // File systems, networking and devices that make sense for a guest of Xen; all that these depend on comes with them.
    private static readonly string[] Modules =
    [
        "kernel/drivers/xen", "kernel/drivers/block/xen-blkfront", "kernel/drivers/block/loop", "kernel/drivers/block/nbd", "kernel/drivers/block/zram",
        "kernel/drivers/net/xen-netfront", "kernel/drivers/net/tun", "kernel/drivers/net/veth", "kernel/drivers/net/dummy", "kernel/drivers/net/macvlan",
        "kernel/drivers/net/wireguard", "kernel/drivers/md/dm-mod", "kernel/drivers/md/dm-crypt", "kernel/drivers/char/hw_random/virtio-rng", "kernel/fs/ext4", "kernel/fs/fat",
        "kernel/fs/isofs", "kernel/fs/squashfs", "kernel/fs/overlayfs", "kernel/fs/fuse", "kernel/fs/nls", "kernel/fs/nfs", "kernel/fs/xfs", "kernel/fs/autofs",
        "kernel/net/ipv4", "kernel/net/ipv6", "kernel/net/netfilter", "kernel/net/bridge", "kernel/net/8021q", "kernel/net/sched", "kernel/crypto", "kernel/arch/x86/crypto",
    ];

    /// <summary>Fills it.</summary>
    /// <param name="root">An empty tree.</param>
    /// <param name="packages">What it holds, what others depend on first.</param>
    /// <param name="modules">The kernel's modules.</param>
    /// <param name="version">The kernel's version.</param>
    /// <param name="ownStanza">What dpkg is to know of our own share.</param>
    /// <param name="progress">Gets the part that is done.</param>
    /// <param name="cancellation">Ends it.</param>
    public static void Fill(
        RootTree root, IReadOnlyList<PackageFile> packages, ModuleTree modules, string version, string ownStanza, Action<double> progress, CancellationToken cancellation)
    {
        // As Debian has them since its release 12.
        foreach (string folder in new[] { "bin", "sbin", "lib" })
        {
            root.AddDirectory($"usr/{folder}");
            root.AddLink(folder, $"usr/{folder}");
        }

        var database = new DpkgDatabase(root, ownStanza);
        for (int i = 0; i < packages.Count; i++)
        {
            database.Add(packages[i], cancellation);
            progress((double)i / packages.Count);
        }

        database.Write();
        AddBusybox(root);
        AddModules(root, modules, version);
        AddFiles(root);
    }

    private static void AddBusybox(RootTree root)
    {
        foreach (string applet in BusyboxApplets.Read(File.ReadAllBytes(root.HostPath("bin/busybox"))))
        {
            string folder = Administration.Contains(applet) ? "usr/sbin" : "usr/bin";
            if (!root.Exists($"usr/bin/{applet}") && !root.Exists($"usr/sbin/{applet}"))
            {
                root.AddLink($"{folder}/{applet}", folder == "usr/bin" ? "busybox" : "../bin/busybox");
            }
        }
    }

    private static void AddModules(RootTree root, ModuleTree modules, string version)
    {
        IReadOnlyList<KernelModule> chosen = modules.Closure(Modules.SelectMany(modules.Below).Distinct().Order(StringComparer.Ordinal));
        string folder = $"usr/lib/modules/{version}";
        foreach (KernelModule module in chosen)
        {
            root.AddFile($"{folder}/{modules.PathOf(module)}", module.Slim());
        }

        root.AddText($"{folder}/modules.dep", modules.DependencyFile(chosen));
        root.AddText($"{folder}/modules.alias", ModuleTree.AliasFile(chosen));
    }

    private static void AddFiles(RootTree root)
    {
        string shell = root.Exists("bin/bash") ? "/bin/bash" : "/bin/sh";
        if (root.Exists("bin/dash"))
        {
            root.AddLink("bin/sh", "dash");
        }

        foreach (string folder in new[] { "dev", "proc", "sys", "run", "root", "mnt", "var/log", "var/tmp" })
        {
            root.AddDirectory(folder);
        }

        root.AddCharacterDevice("dev/console", 5, 1);
        root.AddCharacterDevice("dev/null", 1, 3);
        Add("etc/fstab", "fstab", Plain);
        Add("etc/inittab", "inittab", Plain);
        Add("etc/init.d/rcS", "rcS", Executable);
        Add("etc/init.d/late", "late", Executable);
        Add("etc/udhcpc/default.script", "udhcpc-script", Executable);
        Add("usr/sbin/network-wait", "network-wait", Executable);
        Add("etc/profile", "profile", Plain);
        Add("etc/passwd", "passwd", Plain);
        Add("etc/group", "group", Plain);
        Add("etc/hosts", "hosts", Plain);
        root.AddText("etc/hostname", DebianGuest.Name + "\n");
        root.AddText("etc/resolv.conf", "");
        root.AddLink("etc/mtab", "../proc/self/mounts");

        void Add(string path, string file, UnixFileMode mode) =>
            root.AddFile(path, Encoding.UTF8.GetBytes(GuestFiles.Text(file).Replace("@SHELL@", shell, StringComparison.Ordinal)), mode);
    }
}
