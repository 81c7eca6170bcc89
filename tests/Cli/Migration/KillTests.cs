using System.Globalization;
using Dbt.Cli.Hosting;
using Dbt.Tests.Cli.Hosting;

namespace Dbt.Tests.Cli.Migration;

/// <summary>SIGKILL of either daemon while a guest moves: it runs on the other one, on neither if it was there, never on both.</summary>
public sealed class KillTests
{
    private static readonly int Kills = int.TryParse(Environment.GetEnvironmentVariable("DBT_MIGRATION_KILLS"), CultureInfo.InvariantCulture, out int kills) ? kills : 3;

    [Fact]
    public void EitherDaemonIsKilledAtAnyMoment()
    {
        var random = new Random(Kills);
        var outcomes = new SortedDictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < Kills; i++)
        {
            string outcome = KillOne(killsTarget: i % 2 == 0, delay: random.Next(200, 2500));
            outcomes[outcome] = outcomes.GetValueOrDefault(outcome) + 1;
        }

        // What was seen, for who reads the log.
        Console.WriteLine($"{Kills} kills: {string.Join(", ", outcomes.Select(static pair => $"{pair.Key} {pair.Value}"))}");
    }

    private static string KillOne(bool killsTarget, int delay)
    {
        using var pair = new DaemonPair();
        pair.TrustEachOther();
        pair.ListenBoth();
        pair.Here.Do("create", "name=x", "memory=64", "vcpus=2", $"disk=['{pair.Disk()},raw,xvda,w']");
        using (DaemonFolder.RunningCommand console = pair.Here.Start("console", "x"))
        {
            console.Await("dbt> ");
            console.Type("xs write data/word kept\n");
            console.Await("dbt> ", times: 2);
        }

        DaemonFolder killed = killsTarget ? pair.There : pair.Here, left = killsTarget ? pair.Here : pair.There;
        int process = int.Parse(DaemonLock.ReadOwner(killed.Lock)!, CultureInfo.InvariantCulture);
        using DaemonFolder.RunningCommand migrate = pair.Here.Start("migrate", "x", pair.ThereAddress);
        Thread.Sleep(delay);
        Assert.Equal(0, CommandProcess.Signal(process, 9));
        int status = migrate.End();
        killed.AwaitEnd();
        string what = $"{(killsTarget ? "target" : "source")} killed after {delay} ms; migrate: {status} {migrate.Text}";
        if (killsTarget)
        {
            if (status == 0)
            {
                Assert.Empty(left.List());
                return "moved, then the target died";
            }

            Assert.Equal(["x"], left.List().Select(static row => row.Name));
            Answers(left, what);
            return "stayed when the target died";
        }

        // The target notices within a moment that the source is gone, and either has everything or lets it be.
        DaemonFolder.Await(() => left.List() is [] or [("x", _)], () => $"{what}\n{left.Log}");
        if (left.List().Count == 0)
        {
            return "died with the source";
        }

        Answers(left, what);
        return "moved, or went on without the source";
    }

    private static void Answers(DaemonFolder daemon, string what)
    {
        using DaemonFolder.RunningCommand console = daemon.Start("console", "x");
        console.Type("xs read data/word\nselftest\n");
        DaemonFolder.Await(() => console.Text.Contains("\nkept", StringComparison.Ordinal) && console.Text.Contains(" ok, 0 failed", StringComparison.Ordinal), () => $"{what}\n{console.Text}\n{daemon.Log}");
    }
}
