using System.Globalization;
using System.Runtime.InteropServices;
using Dbt.Runtime;

namespace Dbt.Devices.Network.Switch;

/// <summary>
/// Where the ports of a named switch meet: a folder of this user's alone, with a UNIX socket for each port, named by its number:
/// <c>$XDG_RUNTIME_DIR/dbt/switch/NAME</c>, or <c>/tmp/dbt-UID/switch/NAME</c> where there is no such variable.
/// </summary>
internal sealed unsafe partial class SwitchFolder
{
    private const int MaxName = 32, MaxSocketPath = 107;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private readonly string _path;

    private SwitchFolder(string path) => _path = path;

    /// <summary>Makes the folder, or finds it.</summary>
    /// <param name="name">The switch's name.</param>
    /// <param name="root">In place of the user's folder; for tests.</param>
    /// <exception cref="HostException">The name can't be one, or the folder can't be had, or others could get at it.</exception>
    public static SwitchFolder Open(string name, string? root = null)
    {
        if (!IsName(name))
        {
            throw new HostException($"'{name}' is no name for a switch: 1 to {MaxName} letters, digits, '.', '_' and '-', a letter or digit first");
        }

        root ??= Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } runtime && Directory.Exists(runtime)
            ? Path.Combine(runtime, "dbt")
            : string.Create(CultureInfo.InvariantCulture, $"/tmp/dbt-{EffectiveUser()}");
        var folder = new SwitchFolder(Path.Combine(root, "switch", name));
        if (folder.SocketPath(ulong.MaxValue).Length > MaxSocketPath)
        {
            throw new HostException($"the path {root} is too long for sockets; set XDG_RUNTIME_DIR to a shorter one");
        }

        folder.Make(root);
        return folder;
    }

    /// <summary>Whether a switch may have a name.</summary>
    public static bool IsName(string name) => name.Length is > 0 and <= MaxName && char.IsAsciiLetterOrDigit(name[0])
        && name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');

    /// <summary>The socket of a port.</summary>
    public string SocketPath(ulong port) => Path.Combine(_path, port.ToString("x16", CultureInfo.InvariantCulture));

    /// <summary>The numbers of the ports that are there; some may have been left by who was killed.</summary>
    public List<ulong> Ports()
    {
        var ports = new List<ulong>();
        try
        {
            foreach (string file in Directory.EnumerateFiles(_path))
            {
                if (ulong.TryParse(Path.GetFileName(file), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong port))
                {
                    ports.Add(port);
                }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The last port went and took the folder along, or somebody else removed it; who can't be found gets nothing.
        }

        return ports;
    }

    /// <summary>Makes the folder anew where the last port that left took it along.</summary>
    public void Remake()
    {
#pragma warning disable CA1416 // there is no Windows build
        Directory.CreateDirectory(_path, OwnerOnly);
#pragma warning restore CA1416
    }

    /// <summary>Keeps others from a port's socket, which its folder does too.</summary>
    public void Restrict(ulong port)
    {
#pragma warning disable CA1416 // there is no Windows build
        File.SetUnixFileMode(SocketPath(port), UnixFileMode.UserRead | UnixFileMode.UserWrite);
#pragma warning restore CA1416
    }

    /// <summary>Removes the socket of a port, and the folder where it was the last.</summary>
    public void Remove(ulong port)
    {
        try
        {
            File.Delete(SocketPath(port));
            if (!Directory.EnumerateFileSystemEntries(_path).Any())
            {
                Directory.Delete(_path);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Another port came, or removed the same; or the folder isn't ours any more.
        }
    }

    private void Make(string root)
    {
        try
        {
            Remake();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"the switch's folder {_path} can't be made: {error.Message}", error);
        }

        // In /tmp somebody else may have made it first.
        foreach (string path in (string[])[root, Path.Combine(root, "switch"), _path])
        {
            if (!IsOwnAlone(path))
            {
                throw new HostException($"{path} is not this user's alone; remove it, or set XDG_RUNTIME_DIR to a folder of yours (mode 0700)");
            }
        }
    }

    // statx(2): its structure is the same on all machines; the owner is at byte 20, the mode at 28.
    private static bool IsOwnAlone(string path)
    {
        const int currentFolder = -100, noFollow = 0x100;
        const uint basic = 0x7FF;
        const int folder = 0x4000, kind = 0xF000, othersMayWrite = 0x12;
        byte* status = stackalloc byte[256];
        if (GetStatus(currentFolder, path, noFollow, basic, status) != 0)
        {
            return false;
        }

        uint owner = *(uint*)(status + 20);
        ushort mode = *(ushort*)(status + 28);
        return owner == EffectiveUser() && (mode & kind) == folder && (mode & othersMayWrite) == 0;
    }

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUser();

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int GetStatus(int folder, string path, int flags, uint mask, byte* status);
}
