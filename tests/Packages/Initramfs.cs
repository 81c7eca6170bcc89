using System.Globalization;
using System.Text;

namespace Dbt.Tests.Packages;

/// <summary>An initramfs: a cpio archive in the "newc" format (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).</summary>
internal sealed class Initramfs
{
    private const int Directory = 0x41ED, Executable = 0x81ED, Link = 0xA1FF;

    private readonly MemoryStream _archive = new();
    private int _nodes;

    public Initramfs AddDirectory(string path) => Add(path, Directory, []);

    public Initramfs AddFile(string path, byte[] contents) => Add(path, Executable, contents);

    public Initramfs AddLink(string path, string target) => Add(path, Link, Encoding.ASCII.GetBytes(target));

    public byte[] ToArray()
    {
        Add("TRAILER!!!", 0, []);
        return _archive.ToArray();
    }

    private Initramfs Add(string path, int mode, byte[] contents)
    {
        int[] fields = [++_nodes, mode, 0, 0, 1, 0, contents.Length, 0, 0, 0, 0, path.Length + 1, 0];
        Write(Encoding.ASCII.GetBytes("070701" + string.Concat(fields.Select(f => f.ToString("X8", CultureInfo.InvariantCulture))) + path + "\0"));
        Write(contents);
        return this;
    }

    private void Write(byte[] bytes)
    {
        _archive.Write(bytes);
        _archive.Write(new byte[-bytes.Length & 3]);
    }
}
