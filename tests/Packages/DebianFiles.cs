using System.Collections.Concurrent;
using Dbt.Cli.Packages;
using Dbt.Tests.Xen.Builder;

namespace Dbt.Tests.Packages;

/// <summary>Files of Debian packages that tests use, each looked for once in a test run.</summary>
internal static class DebianFiles
{
    public const string Grub = "package:grub-xen-host/usr/lib/grub-xen/grub-i386-xen.bin";
    public const string Mach = "package:gnumach-image-1.8-xen-486:i386/boot/gnumach-1.8-xen-486.gz";

    private const string ToolScheme = "tool:";

    private static readonly ConcurrentDictionary<string, Lazy<(string? Path, string? Reason)>> Found = new();

    /// <summary>Why a file, or a program of the host written tool:NAME, can't be had; null where it can.</summary>
    public static string? WhyNot(string reference) => !reference.StartsWith(ToolScheme, StringComparison.Ordinal) ? Get(reference).Reason
        : Tool.Find(reference[ToolScheme.Length..]) is null ? $"this machine has no {reference[ToolScheme.Length..]}"
        : null;

    /// <summary>Path of a file that can be had.</summary>
    public static string PathOf(string reference) => Get(reference).Path ?? throw new InvalidOperationException(WhyNot(reference));

    private static (string? Path, string? Reason) Get(string reference) => Found.GetOrAdd(reference, name => new Lazy<(string?, string?)>(() =>
    {
        try
        {
            return PackageReference.TryParse(name, out PackageReference? parsed)
                ? (PackageCache.Default.Obtain(parsed), null)
                : throw new ArgumentException($"{name} is no package reference");
        }
        catch (PackageException exception)
        {
            return (null, exception.Message);
        }
    })).Value;
}
