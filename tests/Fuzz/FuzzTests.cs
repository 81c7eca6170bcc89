using Dbt.Perf.Fuzz;

namespace Dbt.Tests.Fuzz;

/// <summary>
/// A few cases of each kind of attack, and those that once found something or reach what is rare (tests/Fuzz/Corpus). Longer runs are
/// <c>perf -- fuzz KIND</c>; docs/FUZZING.md.
/// </summary>
public sealed class FuzzTests : IDisposable
{
    private const int Cases = 25;
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-fuzz-test").FullName;

    public static TheoryData<string> Kinds => [.. FuzzKinds.Names];

    public static TheoryData<string> Corpus => [.. Directory.EnumerateFiles(Folder, "*.hex").Select(static file => Path.GetFileName(file)!).Order(StringComparer.Ordinal)];

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Fuzz", "Corpus");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Kinds))]
    public void NothingReachesTheNeighbour(string kind)
    {
        using var findings = new FuzzFindings(kind, _folder);
        using var run = new FuzzRun(kind, findings);
        run.Run(seed: 7, () => run.Cases < Cases);
        run.Arena.CheckNeighbourRuns();
        Assert.Equal(Cases, run.Cases);
        Assert.True(run.Arena.Notes.Count > 0, "the attacks met nothing at all");
        Assert.Empty(findings.Files);
    }

    [Theory]
    [MemberData(nameof(Corpus))]
    public void WhatOnceFoundSomethingFindsNothing(string file)
    {
        string kind = FuzzCase.KindOf(file);
        byte[] bytes = FuzzCase.Read(Path.Combine(Folder, file));
        using var findings = new FuzzFindings(kind, _folder);
        using var run = new FuzzRun(kind, findings);
        for (int i = 0; i < 3; i++)
        {
            run.RunCase(bytes);
        }

        Assert.Empty(findings.Files);
    }

    [Fact]
    public void ATouchedNeighbourIsNoticed()
    {
        using var findings = new FuzzFindings("store", _folder);
        using var run = new FuzzRun("store", findings);
        run.RunCase([]);
        run.Arena.Neighbour.Word(0x1234)++;
        Assert.True(SpinWait.SpinUntil(() => run.Arena.Neighbour.Domain.IsStopped, TimeSpan.FromSeconds(60)));
        Assert.Contains("at 1234", Assert.Throws<FuzzFinding>(() => run.RunCase([])).Message, StringComparison.Ordinal);
        Assert.Single(findings.Files);
        Assert.Empty(FuzzCase.Read(findings.Files[0]));
    }

    [Fact]
    public void WhatIsLeftBehindIsNoticed()
    {
        using var findings = new FuzzFindings("store", _folder);
        using var run = new FuzzRun("store", findings);
        run.Arena.Store.Write("/local/domain/left", "1");
        Assert.Contains("nodes", Assert.Throws<FuzzFinding>(() => run.RunCase([])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheSameSeedMakesTheSameCases()
    {
        var first = new FuzzCorpus(3, 100);
        var second = new FuzzCorpus(3, 100);
        for (int i = 0; i < 200; i++)
        {
            byte[] bytes = first.Next();
            Assert.Equal(bytes, second.Next());
            if (i % 5 == 0)
            {
                first.Keep(bytes);
                second.Keep(bytes);
            }
        }
    }

    [Fact]
    public void ADeadProcessLeavesItsCase()
    {
        File.WriteAllBytes(Path.Combine(_folder, "ring-999999999.current"), [1, 2, 3]);
        using var findings = new FuzzFindings("ring", _folder);
        Assert.Equal([1, 2, 3], FuzzCase.Read(Assert.Single(findings.Files)));
        Assert.Equal("ring", FuzzCase.KindOf(findings.Files[0]));
    }
}
