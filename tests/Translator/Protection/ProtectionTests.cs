using System.Security.Cryptography;
using System.Text;

namespace Dbt.Tests.Translator.Protection;

/// <summary>The protection architecture, case by case: every engine against QEMU where the host has it, and against golden texts.</summary>
public sealed class ProtectionTests
{
    public static TheoryData<string, string> Runs
    {
        get
        {
            var runs = new TheoryData<string, string>();
            foreach (string program in Programs)
            {
                foreach (string engine in Engines)
                {
                    runs.Add(program, engine);
                }
            }

            return runs;
        }
    }

    /// <summary>One engine of each kind.</summary>
    public static string[] Engines => ["interpreter", "quick", "optimized", "tiered"];

    private static string[] Programs => ["segments", "system", "paging"];

    [Theory]
    [MemberData(nameof(Runs))]
    public void AgreesWithGoldenText(string program, string engine)
    {
        CaseTable table = Table(program, out byte[] image, out uint entry);
        using var machine = new ProtectionMachine(image);
        machine.Run(EngineUnderTest.Options(engine), entry);
        Assert.Null(machine.ShutdownReason);
        GoldenText.Check("Protection", program, Summary(table, machine.Console.ToArray()));
    }

    [RequiresQemuTheory]
    [InlineData("segments")]
    [InlineData("system")]
    [InlineData("paging")]
    public void AgreesWithQemu(string program)
    {
        CaseTable table = Table(program, out byte[] image, out uint entry);
        using var machine = new ProtectionMachine(image);
        machine.Run(EngineUnderTest.Options("interpreter"), entry);
        byte[] ours = machine.Console.ToArray();
        byte[] theirs = Qemu.Run(image);
        string? dump = Environment.GetEnvironmentVariable("DBT_PROTECTION_DUMP");
        if (dump is not null)
        {
            File.WriteAllText(Path.Combine(dump, program + ".diff"), Differences(table, ours, theirs, int.MaxValue));
        }

        Assert.Equal("", Differences(table, ours, theirs, 20));
        Assert.Null(machine.ShutdownReason);
    }

    private static CaseTable Table(string program, out byte[] image, out uint entry)
    {
        var table = new CaseTable();
        switch (program)
        {
            case "segments":
                SegmentCases.AddTo(table);
                break;
            case "system":
                SystemCases.AddTo(table);
                break;
            default:
                PagingCases.AddTo(table);
                break;
        }

        image = table.Build(new MonitorProgram(program == "paging"), out entry);
        return table;
    }

    private static string Differences(CaseTable table, byte[] ours, byte[] theirs, int most)
    {
        var text = new StringBuilder();
        int at = 0, found = 0;
        foreach ((string group, List<Case> cases) in table.Groups)
        {
            for (int i = 0; i < cases.Count; i++)
            {
                int length = cases[i].Words * 4;
                if (at + length > Math.Min(ours.Length, theirs.Length))
                {
                    return text.Append($"{group} {i}: the outcome ends; {ours.Length} bytes here, {theirs.Length} there; {Outcome.Of(cases[i])}\n").ToString();
                }

                ReadOnlySpan<byte> mine = ours.AsSpan(at, length), other = theirs.AsSpan(at, length);
                at += length;
                if (!Outcome.Same(cases[i], mine, other) && cases[i].Differs is null && found++ < most)
                {
                    text.Append($"{group} {i}: {Outcome.Of(cases[i])}\n  here  {Outcome.Of(mine)}\n  there {Outcome.Of(other)}\n");
                }
            }
        }

        return text.ToString();
    }

    private static string Summary(CaseTable table, byte[] console)
    {
        var text = new StringBuilder();
        int at = 0;
        foreach ((string group, List<Case> cases) in table.Groups)
        {
            var vectors = new SortedDictionary<uint, int>();
            int start = at;
            foreach (Case c in cases)
            {
                Assert.True(at + (c.Words * 4) <= console.Length, $"the outcome ends in {group}");
                if (c.Words > 2)
                {
                    // Undefined flags are not a promise.
                    console[at + 8] &= (byte)~c.IgnoreFlags;
                    console[at + 9] &= (byte)~(c.IgnoreFlags >> 8);
                }

                uint vector = BitConverter.ToUInt32(console, at);
                vectors[vector] = vectors.GetValueOrDefault(vector) + 1;
                at += c.Words * 4;
            }

            string hash = Convert.ToHexStringLower(SHA256.HashData(console.AsSpan(start, at - start)))[..32];
            text.Append($"{group}: {cases.Count} cases; {string.Join(' ', vectors.Select(v => $"{Outcome.Name(v.Key)}:{v.Value}"))}; {hash}\n");
        }

        Assert.Equal(console.Length, at);
        return text.ToString();
    }
}
