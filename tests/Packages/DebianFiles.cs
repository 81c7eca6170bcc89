using System.Collections.Concurrent;
using System.Text;
using Dbt.Cli.Packages;
using Dbt.Tests.Xen.Builder;

namespace Dbt.Tests.Packages;

/// <summary>Files of Debian packages that tests use, each looked for once in a test run.</summary>
internal static class DebianFiles
{
    public const string Grub = "package:grub-xen-host/usr/lib/grub-xen/grub-i386-xen.bin";
    public const string GrubPvh = "package:grub-xen-host/usr/lib/grub-xen/grub-i386-xen_pvh.bin";
    public const string Mach = "package:gnumach-image-1.8-xen-486:i386/boot/gnumach-1.8-xen-486.gz";

    public const string Busybox = "package:busybox-static:i386/bin/busybox";

    /// <summary>The kernel that linux-image-686-pae depends on now, whose package and file carry its version.</summary>
    public const string Kernel = "newest-kernel:linux-image-686-pae:i386";

    private const string KernelScheme = "newest-kernel:";
    private const string ToolScheme = "tool:", VariableScheme = "variable:";

    private static readonly ConcurrentDictionary<string, Lazy<(string? Path, string? Reason)>> Found = new();

    /// <summary>Why a file, or a program of the host written tool:NAME, can't be had, or that variable:NAME isn't set; null where it can.</summary>
    public static string? WhyNot(string reference) => reference.StartsWith(VariableScheme, StringComparison.Ordinal)
        ? string.IsNullOrEmpty(Environment.GetEnvironmentVariable(reference[VariableScheme.Length..])) ? $"takes long: set {reference[VariableScheme.Length..]}" : null
        : !reference.StartsWith(ToolScheme, StringComparison.Ordinal) ? Get(reference).Reason
        : Tool.Find(reference[ToolScheme.Length..]) is null ? $"this machine has no {reference[ToolScheme.Length..]}"
        : null;

    /// <summary>Path of a file that can be had.</summary>
    public static string PathOf(string reference) => Get(reference).Path ?? throw new InvalidOperationException(WhyNot(reference));

    private static (string? Path, string? Reason) Get(string reference) => Found.GetOrAdd(reference, name => new Lazy<(string?, string?)>(() =>
    {
        try
        {
            return PackageReference.TryParse(name.StartsWith(KernelScheme, StringComparison.Ordinal) ? NewestKernel(name[KernelScheme.Length..]) : name, out PackageReference? parsed)
                ? (PackageCache.Default.Obtain(parsed), null)
                : throw new ArgumentException($"{name} is no package reference");
        }
        catch (PackageException exception)
        {
            return (null, exception.Message);
        }
    })).Value;

    // What apt knows, or else what the cache has.
    private static string NewestKernel(string package)
    {
        const string prefix = "linux-image-";

        // It fails where the architecture was never added.
        string said = Tool.Find("apt-cache") is null ? "" : Encoding.ASCII.GetString(Tool.Run("apt-cache", $"depends --important {package}", []).Output);
        string? dependency = said.Split('\n').Select(line => line.Trim().Split(' ')[^1]).FirstOrDefault(word => word.StartsWith(prefix, StringComparison.Ordinal) && word != package);
        return dependency is null
            ? throw new PackageException($"package {package} can't be had: apt-cache knows no kernel that it depends on (as root: dpkg --add-architecture i386 && apt-get update)")
            : $"package:{dependency}/boot/vmlinuz-{dependency[prefix.Length..].Split(':')[0]}";
    }
}
