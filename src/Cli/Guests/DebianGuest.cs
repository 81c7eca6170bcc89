using Dbt.Cli.Packages;
using Dbt.Xen.Builder;

namespace Dbt.Cli.Guests;

/// <summary>
/// The guest "debian": Debian's own i386 kernel, an initramfs of ours, and a root file system of busybox and the packages that the user
/// names. Packages are unpacked, not installed: their maintainer scripts would have to run as programs of the guest.
/// </summary>
internal static class DebianGuest
{
    /// <summary>What the user calls it.</summary>
    public const string Name = "debian";

    /// <summary>Changes when the same packages would make another guest.</summary>
    public const int Recipe = 1;

    private const string Architecture = "i386", KernelPackage = "linux-image-686-pae", VersionedKernel = "linux-image-";
    private const int UsualMiB = 1024, RoomMiB = 512;

    private static readonly string[] OwnPackages = [KernelPackage, "base-files", "busybox-static", "netbase"];

    // Busybox's shell runs its own applets in place of programs of the same name; where real ones were asked for, a real shell comes too.
    private static readonly string[] ShellPackages = ["bash", "dash"];

    /// <summary>Makes the guest's files in a folder.</summary>
    /// <exception cref="PackageException">It can't be made, and why.</exception>
    public static void Make(string folder, string aptFolder, GuestRequest request, IFetchProgress progress, CancellationToken cancellation)
    {
        var apt = new AptSource(aptFolder, Architecture);
        progress.Step("package lists");
        if (apt.Update(progress.Part, cancellation) is string trouble)
        {
            progress.Warn($"some package lists can't be had, going on with what is there: {trouble}");
        }

        string[] names = [.. OwnPackages, .. request.Packages.Count > 0 ? ShellPackages : [], .. request.Packages];
        IReadOnlyList<PackageFile> packages = apt.Resolve(names, cancellation);
        progress.Step($"download of {packages.Count} packages");
        apt.Download(names, packages, progress.Part, cancellation);

        PackageFile kernelPackage = packages.FirstOrDefault(package => package.Name != KernelPackage && package.Name.StartsWith(VersionedKernel, StringComparison.Ordinal))
            ?? throw new PackageException($"package {KernelPackage} depends on no kernel");
        progress.Step("kernel");
        string work = Path.Combine(folder, "work");
        var kernel = new RootTree(Path.Combine(work, "kernel"));
        DebArchive.ReadFiles(kernelPackage, kernel.Add, cancellation);
        string version = kernelPackage.Name[VersionedKernel.Length..];
        string modulesFolder = new[] { $"usr/lib/modules/{version}", $"lib/modules/{version}" }.FirstOrDefault(kernel.Exists)
            ?? throw new PackageException($"package {kernelPackage.Name} has no modules");
        File.WriteAllBytes(Path.Combine(folder, GuestStore.Kernel), DomainBuilder.UnpackKernel(File.ReadAllBytes(kernel.HostPath($"boot/vmlinuz-{version}"))));
        var modules = new ModuleTree(kernel.HostPath(modulesFolder));

        progress.Step("root file system");
        var root = new RootTree(Path.Combine(work, "root"));
        List<PackageFile> contents = [.. packages.Where(package => !package.Name.StartsWith(VersionedKernel, StringComparison.Ordinal))];
        DebianRoot.Fill(root, contents, modules, version, apt.OwnStanza, progress.Part, cancellation);
        byte[] busybox = File.ReadAllBytes(root.HostPath("bin/busybox"));
        File.WriteAllBytes(Path.Combine(folder, GuestStore.Ramdisk), Initramfs.Make(busybox, modules, version));

        progress.Step("disk image");
        int size = request.SizeMiB ?? Math.Max(UsualMiB, (int)(root.Bytes >> 20) + RoomMiB);
        string image = Path.Combine(work, GuestStore.Disk);
        RootImage.Make(root, image, size, work, cancellation);
        GuestStore.Copy(image, Path.Combine(folder, GuestStore.Disk));
        Directory.Delete(work, recursive: true);
        new GuestManifest
        {
            Kernel = version,
            Requested = request.Packages,
            Packages = [.. packages.Select(package => $"{package.Name}={package.Version}")],
            SizeMiB = size,
            Made = DateTime.UtcNow,
        }.Write(Path.Combine(folder, GuestStore.Manifest));
    }
}
