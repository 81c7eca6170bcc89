using System.Runtime.InteropServices;

namespace Dbt.Cli.Packages;

/// <summary>A second name of a file, which .NET can't make. Unlike a move it takes no name that another has.</summary>
internal static partial class HardLink
{
    /// <summary>The name is taken (EEXIST).</summary>
    public const int Exists = 17;

    /// <summary>Makes it, by link(2).</summary>
    /// <returns>0, or the host's error.</returns>
    public static int Create(string existing, string created) => Link(existing, created) == 0 ? 0 : Marshal.GetLastPInvokeError();

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Link(string existing, string created);
}
