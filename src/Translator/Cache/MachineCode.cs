namespace Dbt.Translator.Cache;

/// <summary>A call in <see cref="MachineCode"/> whose target is found anew wherever the code is placed.</summary>
/// <param name="Offset">Of the 32-bit displacement, which ends the instruction.</param>
/// <param name="Helper">Name of what is called: see <see cref="HostHelpers"/>.</param>
internal readonly record struct HelperCall(int Offset, string Helper);

/// <summary>An access by the address window in <see cref="MachineCode"/>.</summary>
/// <param name="Offset">Of the instruction that may fault.</param>
/// <param name="Exit">Offset at which it goes on if it does.</param>
internal readonly record struct WindowAccess(int Offset, int Exit);

/// <summary>
/// Host code that runs anywhere: a compiled function with the constants that it reads, and nothing in it that refers outside but
/// through its arguments and <see cref="Calls"/>.
/// </summary>
/// <param name="Bytes">The code from its first byte, constants behind it.</param>
/// <param name="Calls">Calls out of it.</param>
internal sealed record MachineCode(byte[] Bytes, HelperCall[] Calls)
{
    /// <summary>Its accesses by the address window.</summary>
    public WindowAccess[] Accesses { get; init; } = [];
}
