using Dbt.Translator.Instructions;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>Which instructions are translated in which mode.</summary>
internal static class Translatable
{
    private const CpuMode Needed = CpuMode.Code32 | CpuMode.Stack32 | CpuMode.Flat;

    /// <summary>Whether code of this mode is translated at all: 32-bit, flat, not single-stepped. The rest is interpreted.</summary>
    public static bool IsModeTranslated(CpuMode mode) => (mode & (Needed | CpuMode.SingleStep | CpuMode.Watched)) == Needed;

    /// <summary>The routine for an instruction; null where it is left to the interpreter.</summary>
    public static EmitRoutine? Routine(in Instruction instruction, Region region)
    {
        EmitRoutine? routine = InstructionTable.Lookup(instruction)?.Emit;
        return routine is not null && AddressesAreTranslated(instruction, region.Mode) && !region.Untranslatable.Contains(instruction.IP32)
            ? routine
            : null;
    }

    private static bool AddressesAreTranslated(in Instruction instruction, CpuMode mode)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            switch (instruction.GetOpKind(i))
            {
                case OpKind.Memory:
                    if (instruction.MemoryBase.IsGPR16() || instruction.MemoryIndex.IsGPR16()
                        || (instruction.MemoryBase == Register.None && instruction.MemoryIndex == Register.None && instruction.MemoryDisplSize == 2))
                    {
                        return false;
                    }

                    goto case OpKind.MemorySegESI;
                case OpKind.MemorySegESI:
                    if (!SegmentIsTranslated(instruction.MemorySegment, mode))
                    {
                        return false;
                    }

                    break;
                case OpKind.MemoryESEDI:
                    break;
                case OpKind.NearBranch16 or OpKind.FarBranch16 or OpKind.FarBranch32:
                    return false;
                case OpKind.MemorySegDI or OpKind.MemorySegSI or OpKind.MemorySegEDI or OpKind.MemoryESDI:
                    return false;
            }
        }

        return true;
    }

    // A write through CS faults; few read through it, so they are left to the interpreter too.
    private static bool SegmentIsTranslated(Register segment, CpuMode mode) => segment switch
    {
        Register.CS => false,
        Register.FS => (mode & CpuMode.FsSimple) != 0,
        Register.GS => (mode & CpuMode.GsSimple) != 0,
        _ => true,
    };
}
