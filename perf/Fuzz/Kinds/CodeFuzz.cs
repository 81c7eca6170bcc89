using Dbt.Cli.Running;
using Dbt.Perf.Fuzz.Attackers;
using Dbt.Translator;
using Iced.Intel;

namespace Dbt.Perf.Fuzz.Kinds;

/// <summary>
/// Random i386 code, of instructions of our own guest in another order, now and then with bytes changed, in pieces that loops run several
/// times; all engines come to the same registers and memory, and nothing leaves the guest.
/// </summary>
internal sealed unsafe class CodeFuzz : IFuzzKind
{
    private const int Milliseconds = 400, Pieces = 24, PieceBytes = 96;
    private static readonly EngineKind[] s_engines = [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized];
    private readonly List<byte[]> _instructions = Instructions();

    /// <inheritdoc/>
    public int LongestCase => 1500;

    /// <inheritdoc/>
    public void Run(FuzzInput input, FuzzArena arena)
    {
        byte[][] pieces = [.. Enumerable.Range(0, Pieces).Select(_ => Piece(input))];
        int seed = input.Seed();
        string? expected = null;
        foreach (EngineKind engine in s_engines)
        {
            using var attacker = new CodeAttacker(arena, engine, pieces, seed);
            attacker.Start();
            attacker.Finish(arena.Notes, Milliseconds);
            if (!attacker.IsComplete)
            {
                arena.Notes.Met("code without end", (long)engine);

                // It ran out of time, which is of no account to the others' memory, and nothing can be compared.
                return;
            }

            string state = attacker.Describe();
            expected ??= state;
            FuzzFinding.Unless(state == expected, $"{engine} comes to\n{state}\nand {s_engines[0]} to\n{expected}");
        }

        arena.Notes.Met(expected!.Split(" sums")[0], 0);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private byte[] Piece(FuzzInput input)
    {
        var bytes = new List<byte>();
        while (bytes.Count < PieceBytes - 16 && !input.OneIn(12) && input.HasMore)
        {
            byte[] instruction = [.. _instructions[input.Word() % _instructions.Count]];
            if (input.OneIn(8))
            {
                instruction[input.Below(instruction.Length)] ^= (byte)(1 << input.Below(8));
            }

            if (IsComparable(instruction))
            {
                bytes.AddRange(instruction);
            }
        }

        return [.. bytes];
    }

    // What tells the time or what the engine is, or asks the hypervisor, gives other results each time; so do locked accesses that split a cache
    // line, in time.
    private static bool IsComparable(byte[] bytes)
    {
        var decoder = Decoder.Create(32, bytes);
        decoder.Decode(out Instruction instruction);
        return instruction.Mnemonic is not (Mnemonic.Rdtsc or Mnemonic.Rdtscp or Mnemonic.Int or Mnemonic.Int3 or Mnemonic.Hlt or Mnemonic.Rdpmc or Mnemonic.Xchg or Mnemonic.INVALID)
            && !instruction.HasLockPrefix && !instruction.HasRepPrefix && !instruction.HasRepnePrefix
            && instruction.FlowControl is FlowControl.Next or FlowControl.ConditionalBranch && !WritesStackPointer(instruction);
    }

    private static bool WritesStackPointer(in Instruction instruction)
    {
        foreach (UsedRegister used in new InstructionInfoFactory().GetInfo(instruction).GetUsedRegisters())
        {
            if (used.Access is OpAccess.Write or OpAccess.ReadWrite or OpAccess.CondWrite or OpAccess.ReadCondWrite && (used.Register.GetFullRegister32() == Register.ESP || used.Register.IsSegmentRegister()))
            {
                return true;
            }
        }

        return false;
    }

    private static List<byte[]> Instructions()
    {
        byte[] image = EmbeddedGuest.Load();
        var found = new List<byte[]>();
        var decoder = Decoder.Create(32, image.AsSpan(0x1000, 0xC000).ToArray());
        while (decoder.IP < 0xBFF0)
        {
            int at = (int)decoder.IP;
            decoder.Decode(out Instruction instruction);
            byte[] bytes = image[(0x1000 + at)..(0x1000 + at + instruction.Length)];
            if (IsComparable(bytes))
            {
                found.Add(bytes);
            }
        }

        return found;
    }
}
