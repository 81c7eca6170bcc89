using Dbt.Cli.Config;
using Dbt.Translator;
using Dbt.Xen;

namespace Dbt.Tests.Snapshot;

/// <summary>A guest finds the code that it runs ready where it goes; what the list of it says is a wish and no more.</summary>
public sealed class HotCodeTests
{
    private const int Moves = 3;

    [Theory]
    [InlineData(EngineKind.Quick, 300)]
    [InlineData(EngineKind.Optimized, 4000)]
    [InlineData(EngineKind.Tiered, 4000)]
    public async Task CodeIsReadyBeforeTheGuestRuns(EngineKind engine, int repetitions)
    {
        using var guest = new MovingGuest(Config(repetitions), engine) { CodeList = static list => list };
        for (int move = 0; move < Moves; move++)
        {
            AwaitResults(guest, (2 * move) + 1);
            Assert.True(guest.Move(engine), guest.Transcript.Text);

            // Once all that it runs is in regions, there is nothing else.
            Assert.True(guest.Ready.Blocks > 0 || (move > 0 && guest.Ready.Regions > 0), $"{guest.Ready} after move {move}");
            Assert.True(engine == EngineKind.Quick || guest.Ready.Regions > 0, $"{guest.Ready} after move {move}");
        }

        await EndsWellAsync(guest);
    }

    /// <summary>Places, modes and pages of a list that are nonsense, and lists that are none.</summary>
    [Theory]
    [InlineData(EngineKind.Tiered, 1)]
    [InlineData(EngineKind.Optimized, 2)]
    public async Task NonsenseIsOfNoAccount(EngineKind engine, int seed)
    {
        var random = new Random(seed);
        int fields = random.Next();
        using var guest = new MovingGuest(Config(4000), engine)
        {
            CodeList = list =>
            {
                for (int i = 0; i < list.Length / 20; i++)
                {
                    // Every fourth list has a bit wrong anywhere, so it mostly ends in a refusal; the others one of a number that isn't a count.
                    int at = fields % 4 == 0 ? random.Next(list.Length) : 12 + (random.Next((list.Length - 12) / 4) * 4);
                    list[at] ^= (byte)(1 << random.Next(8));
                }

                fields++;
                return list;
            },
        };
        for (int move = 0; move < 2 * Moves; move++)
        {
            AwaitResults(guest, move + 1);
            Assert.True(guest.Move(engine), guest.Transcript.Text);
        }

        await EndsWellAsync(guest);
    }

    // So much to do that it is at it still when it is moved.
    private static GuestConfig Config(int repetitions) => GuestConfigReader.Read(null, ["memory=48", "vcpus=2", $"extra='run=bench all {repetitions};selftest;user;halt'"]);

    // It is moved by what it has done, not by time: however fast it is, there is enough left.
    private static void AwaitResults(MovingGuest guest, int count) =>
        guest.Await(() => guest.Transcript.Text.Split("times, checksum", StringSplitOptions.None).Length > count);

    private static async Task EndsWellAsync(MovingGuest guest)
    {
        ShutdownReason reason = await guest.Domain.Stopped.WaitAsync(TimeSpan.FromMinutes(5));
        Assert.True(reason == ShutdownReason.Poweroff, $"{guest.Domain.CrashReport?.Text}\n{guest.Transcript.Text}");
        Assert.DoesNotContain("FAIL", guest.Transcript.Text, StringComparison.Ordinal);
    }
}
