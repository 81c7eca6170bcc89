using CsCheck;
using Dbt.Devices.Block;
using Dbt.Runtime;

namespace Dbt.Tests.Devices;

/// <summary>An image that stays as it is, under what is written.</summary>
public sealed unsafe class OverlayImageTests : IDisposable
{
    private const int Sectors = 64, Sector = 512;

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-overlay-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void ReadsWhatWasWrittenAndElseTheImage()
    {
        byte[] original = new byte[Sectors * Sector];
        new Random(1).NextBytes(original);
        string path = Path.Combine(_folder, "a.img");
        File.WriteAllBytes(path, original);
        Gen.Int.Sample(
            seed =>
            {
                var random = new Random(seed);
                byte[] expected = [.. original], other = [.. original];
                using OverlayImage image = OverlayImage.Open(path, isSurelyRaw: true), second = OverlayImage.Open(path, isSurelyRaw: true);
                for (int i = 0; i < 30; i++)
                {
                    int at = random.Next(Sectors), count = random.Next(1, Sectors - at + 1);
                    if (random.Next(3) == 0)
                    {
                        count = Math.Min(count, 4);
                        byte[] bytes = new byte[count * Sector];
                        random.NextBytes(bytes);
                        Transfer(image.Write, at, bytes, random);
                        bytes.CopyTo(expected, at * Sector);
                    }

                    byte[] read = new byte[count * Sector];
                    Transfer(image.Read, at, read, random);
                    Assert.Equal(expected[(at * Sector)..((at + count) * Sector)], read);
                }

                image.Flush();
                byte[] all = new byte[other.Length];
                Transfer(second.Read, 0, all, random);
                Assert.Equal(other, all);
            },
            iter: 100, threads: 1);
        Assert.Equal(original, File.ReadAllBytes(path));

        // Another test's is named for a moment.
        Assert.True(SpinWait.SpinUntil(
            static () => Directory.GetFiles(Path.GetTempPath(), "dbt-overlay-????????????????????????????????").Length == 0, TimeSpan.FromMinutes(1)));
    }

    [Fact]
    public void NobodyMayWriteTheImageMeanwhile()
    {
        string path = Path.Combine(_folder, "a.img");
        File.WriteAllBytes(path, new byte[Sector]);
        using (OverlayImage.Open(path, isSurelyRaw: true))
        {
            Assert.Throws<HostException>(() => RawImage.Open(path, readOnly: false));
        }

        RawImage.Open(path, readOnly: false).Dispose();
    }

    private delegate void Transferring(ulong offset, Span<IoVector> vectors);

    // In pieces of any number of sectors, as a guest's segments are.
    private static void Transfer(Transferring transfer, int sector, byte[] bytes, Random random)
    {
        fixed (byte* start = bytes)
        {
            var vectors = new List<IoVector>();
            for (int at = 0; at < bytes.Length;)
            {
                int length = Math.Min(bytes.Length - at, random.Next(1, 5) * Sector);
                vectors.Add(new IoVector { Start = start + at, Length = (nuint)length });
                at += length;
            }

            transfer((ulong)sector * Sector, vectors.ToArray());
        }
    }
}
