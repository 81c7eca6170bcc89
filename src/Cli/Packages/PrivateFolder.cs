using System.Runtime.InteropServices;

namespace Dbt.Cli.Packages;

/// <summary>Folders that nobody but this user may look or write into.</summary>
internal static partial class PrivateFolder
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>Whose this process is.</summary>
    public static uint User => EffectiveUser();

    /// <summary>Makes sure of one; it is made where it isn't there.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="remedy">What the user can do where it is another's.</param>
    /// <exception cref="IOException">It can't be made, or it isn't this user's alone.</exception>
    public static void Make(string path, string remedy)
    {
        try
        {
#pragma warning disable CA1416 // there is no Windows build
            Directory.CreateDirectory(path, OwnerOnly);
#pragma warning restore CA1416
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new IOException(exception.Message, exception);
        }

        CheckOwner(path, remedy);
    }

    private static unsafe void CheckOwner(string path, string remedy)
    {
        // struct statx: mask, ..., uid at 20, gid, mode at 28.
        const int here = -100, noFollow = 0x100, uidAndMode = 0x0B;
        byte* info = stackalloc byte[256];
        new Span<byte>(info, 256).Clear();
        if (Status(here, path, noFollow, uidAndMode, info) != 0)
        {
            throw new IOException($"{path} can't be looked at: error {Marshal.GetLastPInvokeError()}");
        }

        const int typeMask = 0xF000, directory = 0x4000, others = 0x3F, othersWrite = 0x12;
        uint owner = *(uint*)(info + 20);
        int mode = *(ushort*)(info + 28);
        if ((mode & typeMask) != directory || owner != EffectiveUser() || (mode & othersWrite) != 0)
        {
            throw new IOException($"{path} is not this user's alone (owner {owner}, mode {Convert.ToString(mode & 0xFFF, 8)}); remove it, or {remedy}");
        }

        if ((mode & others) != 0)
        {
#pragma warning disable CA1416 // there is no Windows build
            File.SetUnixFileMode(path, OwnerOnly);
#pragma warning restore CA1416
        }
    }

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUser();

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Status(int folder, string path, int flags, uint mask, byte* info);
}
