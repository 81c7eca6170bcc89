using Microsoft.Win32.SafeHandles;

namespace Dbt.Devices.Block;

/// <summary>Disk formats that aren't raw, told by how their files begin: taken for raw, a guest would find no file system, and would destroy them.</summary>
public static class ImageFormat
{
    private const int VdiOffset = 64;

    /// <summary>What to do about an image in another format.</summary>
    /// <param name="path">The image.</param>
    /// <param name="format">Its format.</param>
    public static string Advice(string path, string format) =>
        $"disk image {path} is in the format {format}, and only raw is supported; convert it with: qemu-img convert -O raw {path} {path}.raw";

    /// <summary>The format's name; null for an image that seems to be raw.</summary>
    /// <param name="image">The image, open for reading.</param>
    /// <exception cref="IOException">The file can't be read.</exception>
    public static string? Recognize(SafeFileHandle image)
    {
        Span<byte> start = stackalloc byte[VdiOffset + 4];
        start = start[..RandomAccess.Read(image, start, 0)];
        return start.StartsWith((ReadOnlySpan<byte>)[(byte)'Q', (byte)'F', (byte)'I', 0xFB]) ? "qcow2"
            : start.StartsWith("conectix"u8) ? "vhd"
            : start.StartsWith("vhdxfile"u8) ? "vhdx"
            : start.StartsWith("QED\0"u8) ? "qed"
            : start.StartsWith("KDMV"u8) ? "vmdk"
            : start.Length == VdiOffset + 4 && start[VdiOffset..].SequenceEqual((ReadOnlySpan<byte>)[0x7F, 0x10, 0xDA, 0xBE]) ? "vdi"
            : null;
    }
}
