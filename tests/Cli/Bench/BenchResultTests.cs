using System.Text.Json;
using Dbt.Cli;
using Dbt.Cli.Bench;
using Dbt.Cli.Commands;

namespace Dbt.Tests.Cli.Bench;

/// <summary>Figures made of samples: medians, ratios, the table, JSON, the page; a wrong output is a failure and no time.</summary>
public sealed class BenchResultTests
{
    private static readonly Workload Sum = new("sum", WorkloadKind.Compute, "coreutils", 10, "true"), Fork = new("fork", WorkloadKind.System, "dash", 3, "true");

    private static readonly BenchSettings Settings = new()
    {
        Workloads = [Sum, Fork],
        Against = ["qemu"],
        Native = "i386",
        Rounds = 3,
        Scale = 1,
        Timeout = TimeSpan.FromSeconds(1),
    };

    private static BenchResult Result(string guestSum = "good")
    {
        var result = new BenchResult(["native", "tiered", "qemu"], [Sum, Fork]) { NativeArchitecture = "i386" };
        Add("native", 1, 2, 4);
        Add("tiered", 3, 4, 20);
        Add("qemu", 10, 8, 16);
        return result;

        void Add(string machine, params double[] cpu)
        {
            foreach (double seconds in cpu)
            {
                result.Add("sum", machine, new Sample(seconds * 2, seconds, machine == "tiered" && seconds == 4 ? guestSum : "good"));
                result.Add("fork", machine, new Sample(seconds, seconds * (machine == "tiered" ? 4 : 1), "other"));
            }
        }
    }

    [Fact]
    public void MediansAndGeometricMeans()
    {
        Assert.Null(Statistics.Median([]));
        Assert.Equal(2, Statistics.Median([3, 1, 2]));
        Assert.Equal(2.5, Statistics.Median([4, 1, 2, 3]));
        Assert.Null(Statistics.GeometricMean([]));
        Assert.Equal(4, Statistics.GeometricMean([2, 8])!.Value, 12);
    }

    [Fact]
    public void RatiosAreMediansOfEachRoundsOwn()
    {
        BenchResult result = Result();
        Assert.Equal(3, result.Ratio("sum", "tiered", "native", sample => sample.Cpu)); // of 3, 2, 5
        Assert.Equal(2, result.Median("sum", "native", sample => sample.Cpu));
        Assert.Equal(12, result.Ratio("fork", "tiered", "native", sample => sample.Cpu));
        Assert.Equal(3, result.MeanRatio([Sum], "tiered", "native", sample => sample.Cpu)!.Value, 12);
        Assert.Equal(6, result.MeanRatio([Sum, Fork], "tiered", "native", sample => sample.Cpu)!.Value, 12);
        Assert.Empty(result.Faults());
    }

    [Fact]
    public void AWrongOutputIsAFailureAndNoTime()
    {
        BenchResult result = Result("bad");
        Assert.Null(result.Ratio("sum", "tiered", "native", sample => sample.Cpu));
        Assert.Null(result.Median("sum", "tiered", sample => sample.Cpu));
        Assert.Equal(12, result.MeanRatio([Sum, Fork], "tiered", "native", sample => sample.Cpu)!.Value, 12); // of the other alone
        (_, IReadOnlyList<IReadOnlyList<string>> rows) = BenchTable.Make(result);
        Assert.Contains("FAILED", rows[0]);
        Assert.DoesNotContain("FAILED", rows[1]);

        var errors = new StringWriter();
        Assert.Equal(ExitStatus.Failure, BenchCommand.Conclude(result, errors));
        Assert.Equal("dbt: sum on tiered: wrong output: its checksum is not that of native\n", errors.ToString());
        Assert.Equal(ExitStatus.Success, BenchCommand.Conclude(Result(), errors));
    }

    [Fact]
    public void ARunThatFailedIsAFailure()
    {
        BenchResult result = Result();
        result.Add("fork", "qemu", Sample.Failed("the time is up"));
        Assert.Equal(("fork", "qemu", "the time is up"), Assert.Single(result.Faults()));
    }

    [Fact]
    public void WithoutAReferencesOutputNothingIsRight()
    {
        var result = new BenchResult(["tiered", "qemu"], [Sum]);
        Assert.Equal("qemu", result.Reference);
        result.Add("sum", "tiered", new Sample(1, 1, "good"));
        result.Add("sum", "qemu", Sample.Failed("it has ended"));
        Assert.Equal(["tiered", "qemu"], result.Faults().Select(fault => fault.Machine));
    }

    [Fact]
    public void DigitsThatAreEachProcessorsOwnAreNotComparedWithQemus()
    {
        var result = new BenchResult(["tiered", "checked", "qemu"], [Sum, Fork with { HasOwnDigits = true }]);
        foreach (string machine in result.Machines)
        {
            result.Add("sum", machine, new Sample(1, 1, "good"));
            result.Add("fork", machine, new Sample(1, 1, machine == "qemu" ? "another" : "good"));
        }

        Assert.Empty(result.Faults());
        Assert.StartsWith("fork: its output on qemu is another", Assert.Single(result.Notes()), StringComparison.Ordinal);
        Assert.Equal(1, result.Ratio("fork", "tiered", "qemu", sample => sample.Cpu));
        var told = new StringWriter();
        Assert.Equal(ExitStatus.Success, BenchCommand.Conclude(result, told));
        Assert.StartsWith("dbt: fork: ", told.ToString(), StringComparison.Ordinal);

        // Our own engines must agree, rounds too, and QEMU's with one another.
        result.Add("fork", "checked", new Sample(1, 1, "bad"));
        Assert.Equal(("fork", "checked", "wrong output: its checksum is not that of tiered"), Assert.Single(result.Faults()));
        result.Add("fork", "qemu", new Sample(1, 1, "a third"));
        Assert.Equal(["checked", "qemu"], result.Faults().Select(fault => fault.Machine));

        // Where there is a native run, that is the measure for ours.
        var native = new BenchResult(["native", "tiered", "qemu"], [Fork with { HasOwnDigits = true }]) { NativeArchitecture = "i386" };
        native.Add("fork", "native", new Sample(1, 1, "good"));
        native.Add("fork", "tiered", new Sample(1, 1, "good"));
        native.Add("fork", "qemu", new Sample(1, 1, "another"));
        Assert.Empty(native.Faults());
        native.Add("fork", "tiered", new Sample(1, 1, "another"));
        Assert.Equal(("fork", "tiered", "wrong output: its checksum is not that of native"), Assert.Single(native.Faults()));
    }

    [Fact]
    public void ProgramsOfAnotherArchitectureAreNoReference()
    {
        var result = new BenchResult(["native", "tiered", "qemu"], [Sum]) { NativeArchitecture = "amd64" };
        Assert.Equal("qemu", result.Reference);
        result.Add("sum", "native", new Sample(1, 1, "other"));
        result.Add("sum", "tiered", new Sample(2, 2, "good"));
        result.Add("sum", "qemu", new Sample(3, 3, "good"));
        Assert.Empty(result.Faults());
        Assert.Contains("tiered/amd64 CPU", BenchTable.Make(result).Columns);
        result.Add("sum", "native", new Sample(1, 1, "another"));
        Assert.Equal("native", Assert.Single(result.Faults()).Machine);
        Assert.Null(new BenchResult(["native", "tiered"], [Sum]) { NativeArchitecture = "amd64" }.Reference);
    }

    [Fact]
    public void WhatAnInterruptedRunLeftOutIsNoFault()
    {
        var result = new BenchResult(["native", "tiered"], [Sum, Fork]) { NativeArchitecture = "i386" };
        Assert.False(result.HasSamples);
        result.Add("sum", "native", new Sample(1, 1, "good"));
        result.Add("sum", "tiered", new Sample(1, 1, "good"));
        result.Add("fork", "native", new Sample(1, 1, "good"));
        Assert.Equal(("fork", "tiered", "it did not run"), Assert.Single(result.Faults()));
        result.WasInterrupted = true;
        Assert.Empty(result.Faults());
        Assert.DoesNotContain("FAILED", BenchTable.Make(result).Rows[1]);
    }

    [Fact]
    public void TheTableHasAColumnForEachComparison()
    {
        (IReadOnlyList<string> columns, IReadOnlyList<IReadOnlyList<string>> rows) = BenchTable.Make(Result());
        int ratio = columns.ToList().IndexOf("tiered/native CPU"), mean = columns.ToList().IndexOf("tiered/qemu CPU");
        Assert.Equal(["3.00", "12.00", "3.00", "6.00"], rows.Select(row => row[ratio]));
        Assert.Equal("0.50", rows[0][mean]);
        Assert.Equal(["sum", "fork", "geometric mean", "geometric mean"], rows.Select(row => row[0]));
        Assert.All(rows, row => Assert.Equal(columns.Count, row.Count));

        var text = new StringWriter();
        BenchTable.Write(Result(), text, forPeople: false);
        Assert.All(text.ToString().TrimEnd('\n').Split('\n'), line => Assert.Equal(columns.Count, line.Split('\t').Length));
    }

    [Fact]
    public void JsonHasEverySample()
    {
        using JsonDocument document = JsonDocument.Parse(BenchJson.Make(Result("bad"), Settings));
        JsonElement sum = document.RootElement.GetProperty("workloads")[0], runs = sum.GetProperty("runs");
        Assert.Equal(["good", "bad", "good"], runs.GetProperty("tiered").GetProperty("samples").EnumerateArray().Select(sample => sample.GetProperty("checksum").GetString()));
        Assert.StartsWith("wrong output", runs.GetProperty("tiered").GetProperty("fault").GetString(), StringComparison.Ordinal);
        Assert.Equal(2, runs.GetProperty("native").GetProperty("cpuSeconds").GetDouble());
        Assert.Equal(JsonValueKind.Null, sum.GetProperty("ratios").GetProperty("tiered/native").GetProperty("cpu").ValueKind);
        Assert.Equal(12, document.RootElement.GetProperty("geometricMeans").GetProperty("all").GetProperty("tiered/native").GetProperty("cpu").GetDouble(), 12);
    }

    [Fact]
    public void ThePageHasPlotsAndNamesNoOtherFile()
    {
        string page = BenchPage.Make(Result("bad"), Settings);
        Assert.Equal(2, page.Split("<svg").Length - 1);
        Assert.DoesNotContain("src=", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<?xml", page, StringComparison.Ordinal);
        Assert.Contains("sum on tiered: wrong output", page, StringComparison.Ordinal);
    }
}
