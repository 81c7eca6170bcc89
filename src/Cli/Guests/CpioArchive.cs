using System.Globalization;
using System.Text;

namespace Dbt.Cli.Guests;

/// <summary>
/// Writes an initramfs: a cpio archive in the "newc" format (Linux, Documentation/driver-api/early-userspace/buffer-format.rst). It stays
/// uncompressed: the guest would inflate it instruction by instruction.
/// </summary>
internal sealed class CpioArchive
{
    private const string Magic = "070701", Trailer = "TRAILER!!!";
    private const int DirectoryType = 0x4000, CharacterDeviceType = 0x2000, RegularType = 0x8000, LinkType = 0xA000;
    private const int DirectoryMode = 0x1ED, LinkMode = 0x1FF, DeviceMode = 0x180;

    private readonly MemoryStream _archive = new();
    private readonly HashSet<string> _paths = [];
    private int _nodes;

    /// <summary>Adds a directory, and those above it that aren't there yet.</summary>
    /// <param name="path">Without a leading slash.</param>
    public void AddDirectory(string path)
    {
        if (path.Length == 0 || _paths.Contains(path))
        {
            return;
        }

        AddParents(path);
        Add(path, DirectoryType | DirectoryMode, []);
    }

    /// <summary>Adds a file.</summary>
    /// <param name="path">Without a leading slash.</param>
    /// <param name="contents">What it holds.</param>
    /// <param name="mode">Permission bits.</param>
    public void AddFile(string path, ReadOnlySpan<byte> contents, int mode)
    {
        AddParents(path);
        Add(path, RegularType | mode, contents);
    }

    /// <summary>Adds a symbolic link.</summary>
    public void AddLink(string path, string target)
    {
        AddParents(path);
        Add(path, LinkType | LinkMode, Encoding.UTF8.GetBytes(target));
    }

    /// <summary>Adds a character device that only root may use.</summary>
    public void AddCharacterDevice(string path, int major, int minor)
    {
        AddParents(path);
        Add(path, CharacterDeviceType | DeviceMode, [], major, minor);
    }

    /// <summary>The whole archive, ended.</summary>
    public byte[] ToArray()
    {
        Write(Trailer, 0, 0, [], 0, 0);
        byte[] bytes = _archive.ToArray();
        _archive.SetLength(0);
        return bytes;
    }

    private void AddParents(string path)
    {
        int slash = path.LastIndexOf('/');
        if (slash > 0)
        {
            AddDirectory(path[..slash]);
        }
    }

    private void Add(string path, int mode, ReadOnlySpan<byte> contents, int major = 0, int minor = 0)
    {
        if (!_paths.Add(path))
        {
            throw new ArgumentException($"{path} is in the archive already", nameof(path));
        }

        Write(path, ++_nodes, mode, contents, major, minor);
    }

    // inode, mode, uid, gid, links, time, size, device (two), device of a node (two), length of the name, checksum
    private void Write(string path, int node, int mode, ReadOnlySpan<byte> contents, int major, int minor)
    {
        byte[] name = Encoding.UTF8.GetBytes(path);
        int[] fields = [node, mode, 0, 0, 1, 0, contents.Length, 0, 0, major, minor, name.Length + 1, 0];
        _archive.Write(Encoding.ASCII.GetBytes(Magic + string.Concat(fields.Select(field => field.ToString("X8", CultureInfo.InvariantCulture)))));
        _archive.Write(name);
        _archive.WriteByte(0);
        Pad();
        _archive.Write(contents);
        Pad();
    }

    private void Pad()
    {
        while ((_archive.Length & 3) != 0)
        {
            _archive.WriteByte(0);
        }
    }
}
