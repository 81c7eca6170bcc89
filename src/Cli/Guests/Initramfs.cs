namespace Dbt.Cli.Guests;

/// <summary>The initramfs of a guest with a Debian kernel: busybox, the modules that the root file system needs, and our init.</summary>
internal static class Initramfs
{
    private const int Executable = 0x1ED, Plain = 0x1A4;

    private static readonly string[] RootModules = ["xen_blkfront", "ext4"];

    /// <summary>Makes it.</summary>
    /// <param name="busybox">A static busybox.</param>
    /// <param name="modules">The kernel's modules.</param>
    /// <param name="version">The kernel's version.</param>
    public static byte[] Make(byte[] busybox, ModuleTree modules, string version)
    {
        var archive = new CpioArchive();
        foreach (string folder in new[] { "proc", "sys", "dev", "root" })
        {
            archive.AddDirectory(folder);
        }

        archive.AddCharacterDevice("dev/console", 5, 1);
        archive.AddCharacterDevice("dev/null", 1, 3);
        archive.AddFile("bin/busybox", busybox, Executable);
        archive.AddLink("bin/sh", "busybox");
        archive.AddLink("sbin/modprobe", "../bin/busybox");
        archive.AddFile("init", GuestFiles.Bytes("initramfs-init"), Executable);
        archive.AddFile("etc/fstab", GuestFiles.Bytes("initramfs-fstab"), Plain);
        IReadOnlyList<KernelModule> needed = modules.Closure(RootModules);
        string folderOfModules = $"lib/modules/{version}";
        foreach (KernelModule module in needed)
        {
            archive.AddFile($"{folderOfModules}/{modules.PathOf(module)}", module.Slim(), Plain);
        }

        archive.AddFile($"{folderOfModules}/modules.dep", System.Text.Encoding.UTF8.GetBytes(modules.DependencyFile(needed)), Plain);
        return archive.ToArray();
    }
}
