using Dbt.Translator.State;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>The oracle's own ends meet: what the native side reports is what the manual says.</summary>
public sealed class NativeProcessorTests
{
    private static byte[] Background()
    {
        byte[] background = new byte[OracleLayout.LiveBytes];
        background.AsSpan(OracleLayout.CodeOffset).Fill(0xCC);
        return background;
    }

    [RequiresNative32Fact]
    public void Harness_ReportsRegistersFlagsFaultsAndMemory()
    {
        using var native = new NativeProcessor();
        TestVector[] vectors =
        [
            new() { Code = [[0x01, 0xC8]], Gpr = [0xFFFFFFFF, 1, 3, 4, 5, 6, 7, 8] },                  // add eax, ecx
            new() { Code = [[0x89, 0x01]], Gpr = [0x12345678, OracleLayout.Data + 0xFFE, 0, 0, 0, 0, 0, 0] }, // mov [ecx], eax
            new() { Code = [[0x90], [0x89, 0x01]], Gpr = [0, OracleLayout.ReadOnly, 0, 0, 0, 0, 0, 0] },
            new() { Code = [[0x8B, 0x01]], Gpr = [0, OracleLayout.ReadOnly + 0xFFE, 0, 0, 0, 0, 0, 0] },
            new() { Code = [[0xF7, 0xF1]] },                                                            // div ecx
            new() { Code = [[0xEB, 0xFE]] },                                                            // jmp $
            new() { Code = [[0xF4]] },                                                                  // hlt
            new() { Code = [[0xB8, 1, 0, 0, 0], [0xCD, 0x80]] },                                        // exit
            new() { Code = [[0x65, 0x8B, 0x05, 0xFD, 7, 0, 0]] },                                       // mov eax, gs:[7fd]
            new() { Code = [[0x40]] },
        ];
        Outcome[] outcomes = native.Run(Background(), vectors);

        Assert.Equal((0u, 1u, 3u, OracleLayout.Code + 3), (outcomes[0].Gpr[0], outcomes[0].Gpr[1], outcomes[0].Vector, outcomes[0].Eip));
        Assert.Equal(Flags.Cf | Flags.Pf | Flags.Af | Flags.Zf, outcomes[0].Eflags & Flags.Status);
        Assert.Equal([(0xFFC, 0x56780000u), (0x1000, 0x1234u)], outcomes[1].Memory[..2]);
        Assert.Equal((14u, 7u, OracleLayout.ReadOnly, OracleLayout.Code + 1), (outcomes[2].Vector, outcomes[2].Error, outcomes[2].Cr2, outcomes[2].Eip));
        Assert.Equal((14u, 4u, OracleLayout.ReadOnly + 0x1000), (outcomes[3].Vector, outcomes[3].Error, outcomes[3].Cr2));
        Assert.Equal(0u, outcomes[4].Vector);
        Assert.True(outcomes[5].Unusable);
        Assert.Equal(13u, outcomes[6].Vector);
        Assert.True(outcomes[7].Unusable);
        Assert.Equal((13u, 0u), (outcomes[8].Vector, outcomes[8].Error));
        Assert.Equal(1u, outcomes[9].Gpr[0]);
        Assert.Equal(2, native.Starts);
    }

    /// <summary>Vectors leave nothing behind: in another order, over another process, each gives what it gave.</summary>
    [RequiresNative32Fact]
    public void Vectors_InReverseOrder_GiveTheSame()
    {
        var random = new Random(5);
        byte[] background = Backgrounds.Make(random);
        var generator = new VectorGenerator(random, Candidate.All(_ => true));
        TestVector[] vectors = [.. Enumerable.Range(0, 6_000).Select(i => generator.Make(i % 3 == 0 ? 10 : 1))];
        using var native = new NativeProcessor();
        using var again = new NativeProcessor();
        Outcome[] first = native.Run(background, vectors);
        Outcome[] second = again.Run(background, [.. vectors.Reverse()]);
        for (int i = 0; i < vectors.Length; i++)
        {
            Outcome other = second[^(i + 1)];
            if (!first[i].Unusable && !other.Unusable)
            {
                Assert.True(OutcomeComparer.Compare(vectors[i], first[i], other, true) is null, vectors[i].ToString());
            }
        }

        Assert.InRange(first.Count(o => o.Unusable), 0, 100);
    }
}
