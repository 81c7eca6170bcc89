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

    private string Make(string name, int length)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, new byte[length]);
        return path;
    }
}
