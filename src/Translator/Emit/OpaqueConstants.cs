using System.Runtime.InteropServices;

namespace Dbt.Translator.Emit;

/// <summary>
/// Constants that emitted code reads from memory, so that RyuJIT does not know them: what it computes while compiling raises none of
/// the guest's exception flags and knows nothing of its rounding mode.
/// </summary>
internal static unsafe class OpaqueConstants
{
    /// <summary>Address of 16 bytes of 0.</summary>
    public static readonly nint Zero = Make(0);

    /// <summary>Address of 16 bytes of 0xFF.</summary>
    public static readonly nint Ones = Make(0xFF);

    private static nint Make(byte value)
    {
        void* memory = NativeMemory.AlignedAlloc(16, 16);
        NativeMemory.Fill(memory, 16, value);
        return (nint)memory;
    }
}
