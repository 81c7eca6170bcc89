using Dbt.Cli.Bench;
using Dbt.Cli.Config;
using Dbt.Cli.Guests;
using Dbt.Cli.Packages;

namespace Dbt.Tests.Packages;

/// <summary>The benchmark with its guest: natively where the host can, and on two engines, with the same output.</summary>
public sealed class BenchTests
{
    [RequiresBenchGuestFact]
    public void ProgramsGiveTheSameOutputEverywhere()
    {
        var settings = new BenchSettings
        {
            Workloads = Workloads.Find(["sha256sum", "fork-exec"]),
            Against = ["interpreter"],
            Native = BenchSettings.GuestArchitecture,
            Rounds = 2,
            Scale = .01,
            Timeout = TimeSpan.FromMinutes(5),
        };
        BenchResult result = new BenchRun(settings, RequiresBenchGuestFactAttribute.Store, new Silent(), CancellationToken.None).Run();
        Assert.Empty(result.Faults());
        Assert.Contains("interpreter", result.Machines);
        foreach (Workload workload in result.Workloads)
        {
            foreach (string machine in result.Machines)
            {
                Assert.Equal(2, result.Samples(workload.Name, machine).Count);
                Assert.All(result.Samples(workload.Name, machine), sample => Assert.InRange(sample.Wall, 1e-6, 300));
                Assert.Matches("^[0-9a-f]{64}$", result.Samples(workload.Name, machine)[0].Checksum);
            }

            Assert.True(result.Median(workload.Name, "interpreter", sample => sample.Cpu) > 0);
        }
    }

    private sealed class Silent : IBenchProgress
    {
        public void Booting(int machines)
        {
        }

        public void Running(int round, string workload, string machine)
        {
        }

        public void Done(int round, string workload, string machine, Sample sample)
        {
        }

        public void Warn(string what)
        {
        }
    }
}

/// <summary>A fact that needs the guest "bench", made of packages by apt and kept; says so where it can't be had.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RequiresBenchGuestFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> Reason = new(() =>
    {
        try
        {
            BenchGuest.Ensure(Store, CancellationToken.None);
            return null;
        }
        catch (Exception exception) when (exception is PackageException or ConfigException)
        {
            return exception.Message;
        }
    });

    public RequiresBenchGuestFactAttribute() => Skip = Reason.Value;

    internal static GuestStore Store => new(UserFolders.Cache("test-guests"), UserFolders.Cache("test-guests"));
}
