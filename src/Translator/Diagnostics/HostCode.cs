using System.Globalization;
using Iced.Intel;

namespace Dbt.Translator.Diagnostics;

/// <summary>Reads the host's code of a compiled method: all that can be reached from its first byte, since nothing says where it ends.</summary>
internal static unsafe class HostCode
{
    // Longer than any region's code; a jump further than that leaves the method.
    private const ulong MostBytes = 1 << 18;
    private const int LongestInstruction = 15;

    /// <summary>The instructions, in the order of their addresses.</summary>
    /// <param name="function">The first byte. The method must stay alive meanwhile.</param>
    /// <param name="bytes">From there to the last byte that is reached.</param>
    public static IReadOnlyList<string> Read(nint function, out int bytes)
    {
        // Addresses count from the first byte.
        ulong end = 0;
        var instructions = new SortedDictionary<ulong, Instruction>();
        var open = new Stack<ulong>([0]);
        while (open.TryPop(out ulong at))
        {
            while (at < MostBytes && !instructions.ContainsKey(at))
            {
                Decoder decoder = Decoder.Create(64, new ByteArrayCodeReader(new ReadOnlySpan<byte>((byte*)function + at, LongestInstruction).ToArray()));
                decoder.IP = at;
                decoder.Decode(out Instruction instruction);
                if (instruction.IsInvalid)
                {
                    break;
                }

                instructions.Add(at, instruction);
                end = Math.Max(end, instruction.NextIP);
                if (instruction.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch)
                {
                    open.Push(instruction.NearBranchTarget);
                }

                if (instruction.FlowControl is FlowControl.UnconditionalBranch or FlowControl.IndirectBranch or FlowControl.Return or FlowControl.Exception or FlowControl.Interrupt)
                {
                    break;
                }

                at = instruction.NextIP;
            }
        }

        bytes = (int)end;
        var formatter = new NasmFormatter();
        formatter.Options.BranchLeadingZeros = false;
        var output = new StringOutput();
        var lines = new List<string>();
        foreach ((ulong at, Instruction instruction) in instructions)
        {
            formatter.Format(instruction, output);
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"{at:x4}  {output.ToStringAndReset()}"));
        }

        return lines;
    }
}
