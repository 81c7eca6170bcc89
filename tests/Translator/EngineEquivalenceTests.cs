using Dbt.Translator;
using Dbt.Translator.State;

namespace Dbt.Tests.Translator;

/// <summary>The same code gives the same state, and the same count of instructions, under every engine.</summary>
public sealed unsafe class EngineEquivalenceTests
{
    private const uint Code = 0x10000;

    // A longer run: DBT_PROGRAMS of them from DBT_ORACLE_SEED on.
    private static int Programs => int.TryParse(Environment.GetEnvironmentVariable("DBT_PROGRAMS"), out int count) ? count : 150;

    private static int From => int.TryParse(Environment.GetEnvironmentVariable("DBT_ORACLE_SEED"), out int seed) ? seed : 0;

    public static TheoryData<string> Engines => [.. EngineUnderTest.Names];

    [Theory]
    [MemberData(nameof(Engines))]
    public void RandomProgramsEndInTheInterpretersState(string engine)
    {
        for (int seed = From; seed < From + Programs; seed++)
        {
            string expected = Run("interpreter", seed);
            string actual = Run(engine, seed);
            Assert.True(expected == actual, $"seed {seed}\nexpected {expected}\nactual   {actual}");
        }
    }

    internal static string Run(string engineName, int seed)
    {
        // Regions of a kernel have other entries.
        using var platform = new TestPlatform(ring: seed % 3 == 0 ? 0 : 3);
        platform.Assemble(Code, new RandomProgram(seed).Write);
        if (seed % 2 != 0)
        {
            // Faults in the middle of loops: registers, all flags and counts must be those of the instruction before.
            platform.Protect(RandomProgram.Data + 0x1000, PageRights.None);
            platform.Protect(RandomProgram.Data - 0x1000, PageRights.Present | PageRights.User);
        }

        using Engine engine = EngineUnderTest.Create(engineName, platform);
        var random = new Random(seed);
        var memory = new byte[0x4000];
        random.NextBytes(memory);
        var all = new System.Text.StringBuilder();

        // Several runs in one engine: the later ones meet translations, links and a filled software TLB.
        for (int run = 0; run < 6; run++)
        {
            memory.CopyTo(new Span<byte>(platform.Memory + RandomProgram.Data - 0x2000, memory.Length));
            CpuState* cpu = platform.Cpu;
            for (int i = 0; i < 8; i++)
            {
                cpu->Gpr[i] = (uint)random.Next();
            }

            cpu->Gpr[(int)Gpr.Esp] = platform.Size - 64;
            cpu->Gpr[(int)Gpr.Esi] = RandomProgram.Data + 128;
            cpu->Gpr[(int)Gpr.Edi] = RandomProgram.Data + 256;
            cpu->Eip = Code;
            engine.Run(cpu);
            all.Append($"[{run}] {Describe(platform)} ");
        }

        return all.ToString();
    }

    private static string Describe(TestPlatform platform)
    {
        CpuState* cpu = platform.Cpu;
        uint sum = 0;
        for (int i = 0; i < 0x1000; i++)
        {
            sum = (sum * 31) + *(uint*)(platform.Memory + RandomProgram.Data - 0x2000 + (i * 4));
        }

        ulong retired = cpu->RetiredInterpreted + cpu->RetiredQuick + cpu->RetiredOptimized;
        string registers = string.Join(' ', Enumerable.Range(0, 8).Select(i => Register(platform, i).ToString("x8")));
        return $"eip {cpu->Eip:x} {registers} flags {LazyFlags.Read(cpu):x} memory {sum:x} retired {retired} faults {platform.Faults.Count}";
    }

    private static uint Register(TestPlatform platform, int number) => platform.Cpu->Gpr[number];
}
