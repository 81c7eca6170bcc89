using System.Diagnostics;
using Dbt.Devices.Block;
using Dbt.Runtime;

namespace Dbt.Tests.Devices;

/// <summary>Raw image files and their locks.</summary>
public sealed class RawImageTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-image-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void ReadsWritesAndDiscards()
    {
        string path = Make("a.img", 10 * 512 + 100);
        using (RawImage image = RawImage.Open(path, readOnly: false))
        {
            Assert.Equal(10ul, image.Sectors);
            Write(image, 512, Enumerable.Repeat((byte)9, 1024).ToArray());
            image.Flush();
            var back = new byte[1536];
            Read(image, 0, back);
            Assert.Equal([0, 9, 9], (byte[])[back[511], back[512], back[1535]]);
            if (image.DiscardGranularity > 0)
            {
                Assert.True(image.Discard(512, 512));
                Read(image, 512, back.AsSpan(0, 512));
                Assert.Equal(0, back[0]);
            }
        }

        Assert.Equal(9, File.ReadAllBytes(path)[1024]);
        Assert.Equal(10 * 512 + 100, new FileInfo(path).Length);
    }

    [Fact]
    public void OneWriterOrManyReaders()
    {
        string path = Make("a.img", 4096);
        using (RawImage.Open(path, readOnly: false))
        {
            Assert.Contains("in use", Assert.Throws<HostException>(() => RawImage.Open(path, readOnly: false)).Message, StringComparison.Ordinal);
            Assert.Throws<HostException>(() => RawImage.Open(path, readOnly: true));
        }

        using (RawImage.Open(path, readOnly: true))
        using (RawImage.Open(path, readOnly: true))
        {
            Assert.Throws<HostException>(() => RawImage.Open(path, readOnly: false));
        }
    }

    [Theory]
    [InlineData("none.img", "does not exist")]
    [InlineData("none/none.img", "does not exist")]
    [InlineData(".", "is a directory")]
    [InlineData("small.img", "smaller than one sector")]
    public void SaysWhatIsWrong(string name, string expected)
    {
        Make("small.img", 511);
        HostException error = Assert.Throws<HostException>(() => RawImage.Open(Path.Combine(_folder, name), readOnly: false));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OtherFormatsAreTold()
    {
        string path = Path.Combine(_folder, "q.img");
        foreach ((byte[] start, string format) in (ReadOnlySpan<(byte[], string)>)[
            ([(byte)'Q', (byte)'F', (byte)'I', 0xFB], "qcow2"), ("conectix"u8.ToArray(), "vhd"), ("vhdxfile"u8.ToArray(), "vhdx"),
            ("KDMV"u8.ToArray(), "vmdk"), ("QED\0"u8.ToArray(), "qed"), ([.. new byte[64], 0x7F, 0x10, 0xDA, 0xBE], "vdi")])
        {
            File.WriteAllBytes(path, [.. start, .. new byte[4096]]);
            HostException error = Assert.Throws<HostException>(() => RawImage.Open(path, readOnly: true, isSurelyRaw: false));
            Assert.Contains($"is in the format {format}", error.Message, StringComparison.Ordinal);
            RawImage.Open(path, readOnly: true, isSurelyRaw: true).Dispose();
        }

        RawImage.Open(Make("raw.img", 512), readOnly: true, isSurelyRaw: false).Dispose();
    }

    [RequiresLoopDeviceFact]
    public void ABlockDeviceHasItsOwnSizeAndSectors()
    {
        string path = Make("a.img", 64 * 4096);
        string device = Losetup("--find", "--show", "--sector-size", "4096", path);
        try
        {
            using RawImage image = RawImage.Open(device, readOnly: false);
            Assert.Equal((512ul, (4096, 4096)), (image.Sectors, image.SectorSizes));
            var bytes = new byte[8192];
            Array.Fill(bytes, (byte)7);
            Write(image, 4096, bytes);
            image.Flush();
            Assert.Equal(bytes, File.ReadAllBytes(path)[4096..12288]);
            Assert.Throws<HostException>(() => RawImage.Open(device, readOnly: false));
            if (image.DiscardGranularity > 0 && image.Discard(4096, 4096))
            {
                Read(image, 4096, bytes);
                Assert.Equal([0, 7], (byte[])[bytes[4095], bytes[4096]]);
            }
        }
        finally
        {
            Losetup("--detach", device);
        }
    }

    [Fact]
    public void AShrunkFileIsAnError()
    {
        string path = Make("a.img", 4096);
        using RawImage image = RawImage.Open(path, readOnly: true);
        using (FileStream file = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            file.SetLength(512);
        }

        Assert.ThrowsAny<IOException>(() => Read(image, 0, new byte[4096]));
    }

    private static unsafe void Read(RawImage image, ulong offset, Span<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            image.Read(offset, Halves(start, bytes.Length));
        }
    }

    private static unsafe void Write(RawImage image, ulong offset, Span<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            image.Write(offset, Halves(start, bytes.Length));
        }
    }

    private static unsafe IoVector[] Halves(byte* start, int length) =>
        [new() { Start = start, Length = (nuint)length / 2 }, new() { Start = start + (length / 2), Length = (nuint)(length - (length / 2)) }];

    private static string Losetup(params string[] words)
    {
        using Process process = Process.Start(new ProcessStartInfo("losetup", words) { RedirectStandardOutput = true })!;
        string said = process.StandardOutput.ReadToEnd().Trim();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return said;
    }

    private string Make(string name, int length)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, new byte[length]);
        return path;
    }
}
