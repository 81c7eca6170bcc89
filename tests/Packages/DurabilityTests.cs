using System.Globalization;
using Xunit.Abstractions;

namespace Dbt.Tests.Packages;

/// <summary>
/// What the guest was told is durable is durable: SIGKILL of the hypervisor while a guest writes to ext4 and syncs. The journal makes the file
/// system whole again, and every file whose fsync had returned is there. DBT_KILLS gives the number of kills, at random moments; one by default.
/// </summary>
public sealed class DurabilityTests(ITestOutputHelper output) : IDisposable
{
    // Files of a length that is no multiple of a block, each written, synced and then told; and one that grows.
    private const string Script = """
        mount -t ext4 /dev/xvda /mnt || exit
        n=1
        while true; do
            yes $n | head -c 50001 | dd of=/mnt/f$n conv=fsync 2>/dev/null || exit
            echo "line $n" | dd of=/mnt/log oflag=append conv=notrunc,fsync 2>/dev/null || exit
            echo "durable $n"
            n=$((n + 1))
            [ $n -gt 400 ] && rm /mnt/f$((n - 400))
        done
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-durable").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [RequiresPackageFact(DiskGuest.Kernel, DiskGuest.Busybox, "tool:mke2fs", "tool:e2fsck", "tool:debugfs")]
    public void KillingTheHypervisorLosesNothingThatWasSynced()
    {
        int kills = int.Parse(Environment.GetEnvironmentVariable("DBT_KILLS") ?? "1", CultureInfo.InvariantCulture);
        var random = new Random(1);
        for (int i = 0; i < kills; i++)
        {
            int told = KillOnce(Path.Combine(_folder, $"{i}.img"), least: 1 + random.Next(20), TimeSpan.FromMilliseconds(kills == 1 ? 0 : random.Next(300)));
            output.WriteLine($"kill {i + 1}: {told} files were durable, and are there");
        }
    }

    private int KillOnce(string image, int least, TimeSpan later)
    {
        DiskGuest.MakeFileSystem(image, 64);
        int told;
        using (var guest = new DiskGuest(_folder, Script, image + ",raw,xvda,w"))
        {
            do
            {
                told = int.Parse(guest.WaitFor("durable "), CultureInfo.InvariantCulture);
            }
            while (told < least);

            // What is told meanwhile counts too: the pipe has it.
            Task.Delay(later).Wait();
            guest.Kill();
            while (guest.ReadLine() is string line)
            {
                // The last line may be half a line.
                if (line.StartsWith("durable ", StringComparison.Ordinal) && line == $"durable {told + 1}")
                {
                    told++;
                }
            }
        }

        // 0 and 1: clean, and clean now that the journal was replayed. Then all of it, and nothing may be wrong.
        Assert.InRange(DiskGuest.Run("e2fsck", "-p", image).Status, 0, 1);
        (int status, string errors) = DiskGuest.Run("e2fsck", "-f", "-n", image);
        Assert.True(status == 0, errors);
        for (int n = Math.Max(1, told - 398); n <= told; n++)
        {
            string expected = string.Concat(Enumerable.Repeat(n.ToString(CultureInfo.InvariantCulture) + "\n", 50001))[..50001];
            Assert.Equal(expected, Read(image, $"/f{n}"));
        }

        Assert.StartsWith(string.Concat(Enumerable.Range(1, told).Select(static n => $"line {n}\n")), Read(image, "/log"), StringComparison.Ordinal);
        return told;
    }

    private string Read(string image, string file)
    {
        string copy = Path.Combine(_folder, "copy");
        File.Delete(copy);
        DiskGuest.Run("debugfs", "-R", $"dump {file} {copy}", image);
        Assert.True(File.Exists(copy), $"{file} isn't there");
        return File.ReadAllText(copy);
    }
}
