using Dbt.Translator.Emit.Routines;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>What is certain at a place of a region.</summary>
/// <param name="Active">MMX mode lasts.</param>
/// <param name="Written">Registers whose bits 64 to 79 are ones.</param>
internal readonly record struct MmxState(bool Active, int Written)
{
    private static readonly MmxState Unreached = new(true, 0xFF);

    [ThreadStatic]
    private static InstructionInfoFactory? s_factory;

    /// <summary>Fills <see cref="GuestBlock.MmxOnEntry"/>.</summary>
    public static void Compute(Region region)
    {
        region.Blocks.ForEach(block => block.MmxOnEntry = block.IsEntry || block.IsIndirectTarget ? default : Unreached);
        bool changed;
        do
        {
            changed = false;
            foreach (GuestBlock block in region.Blocks)
            {
                MmxState state = block.MmxOnEntry;
                foreach (ref readonly Instruction instruction in System.Runtime.InteropServices.CollectionsMarshal.AsSpan(block.Instructions))
                {
                    state = state.After(instruction, region);
                }

                foreach (GuestBlock next in block.Successors)
                {
                    MmxState both = new(next.MmxOnEntry.Active & state.Active, next.MmxOnEntry.Written & state.Written);
                    changed |= both != next.MmxOnEntry;
                    next.MmxOnEntry = both;
                }
            }
        }
        while (changed);
    }

    private MmxState After(in Instruction instruction, Region region)
    {
        if (Translatable.Routine(instruction, region) is not { } routine)
        {
            return this;
        }

        if (routine == EmitX87.Run || instruction.Mnemonic == Mnemonic.Emms)
        {
            return default;
        }

        if (!EmitMmx.IsMmx(instruction))
        {
            return this;
        }

        int written = Written;
        foreach (UsedRegister used in (s_factory ??= new InstructionInfoFactory()).GetInfo(instruction).GetUsedRegisters())
        {
            if (used.Register.IsMM() && used.Access is OpAccess.Write or OpAccess.ReadWrite)
            {
                written |= 1 << (used.Register - Register.MM0);
            }
        }

        return new MmxState(true, written);
    }
}
