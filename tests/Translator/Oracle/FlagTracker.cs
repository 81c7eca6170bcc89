using Dbt.Translator.Instructions;
using Dbt.Translator.State;
using Iced.Intel;
using Decoder = Iced.Intel.Decoder;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>Follows which status flags are undefined through a vector's instructions, by the table's rows.</summary>
internal static class FlagTracker
{
    /// <summary>Flags that are undefined when the vector stops at <paramref name="eip"/>.</summary>
    public static uint UndefinedAt(TestVector vector, uint eip)
    {
        if (!vector.UndefinedAt.TryGetValue(eip, out uint flags))
        {
            flags = Follow(vector, eip, out _);
            vector.UndefinedAt[eip] = flags;
        }

        return flags;
    }

    /// <summary>Whether an instruction reads a flag that an earlier one left undefined: its result says nothing then.</summary>
    public static bool ReadsUndefined(TestVector vector)
    {
        Follow(vector, uint.MaxValue, out bool reads);
        return reads;
    }

    private static uint Follow(TestVector vector, uint eip, out bool reads)
    {
        uint undefined = 0, ever = 0, at = vector.Start;
        reads = false;

        // Up to here an instruction may be jumped over; from outside the code or backwards, any may be.
        uint maybeSkippedTo = 0;
        foreach (byte[] bytes in vector.Code)
        {
            if (at == eip)
            {
                return undefined;
            }

            Instruction instruction = Decoder.Create(vector.Bits, new ByteArrayCodeReader(bytes), at).Decode();
            reads |= (Bits(instruction.RflagsRead) & undefined) != 0;
            uint own = InstructionTable.Lookup(instruction)?.UndefinedFlags ?? 0;
            uint written = Bits(instruction.RflagsModified);
            bool maybeNot = at < maybeSkippedTo || Conditional(instruction);
            undefined = (maybeNot ? undefined : undefined & ~written) | own;
            ever |= own;
            if (instruction.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch or FlowControl.Call)
            {
                uint target = instruction.NearBranch32;
                maybeSkippedTo = target <= at ? uint.MaxValue : Math.Max(maybeSkippedTo, target);
            }

            at += (uint)bytes.Length;
        }

        // At the end, behind its INT3; anywhere else only what never was undefined is known to be defined.
        return eip == at || eip == at + 1 ? undefined : ever;
    }

    // Shifts by 0 and string comparisons repeated 0 times leave all flags alone.
    private static bool Conditional(in Instruction instruction) =>
        instruction.HasRepPrefix || instruction.HasRepnePrefix
        || InstructionTable.Lookup(instruction)?.TestClass == TestClass.Shift;

    private static uint Bits(RflagsBits flags) =>
        ((flags & RflagsBits.CF) != 0 ? Flags.Cf : 0) | ((flags & RflagsBits.PF) != 0 ? Flags.Pf : 0)
        | ((flags & RflagsBits.AF) != 0 ? Flags.Af : 0) | ((flags & RflagsBits.ZF) != 0 ? Flags.Zf : 0)
        | ((flags & RflagsBits.SF) != 0 ? Flags.Sf : 0) | ((flags & RflagsBits.OF) != 0 ? Flags.Of : 0);
}
