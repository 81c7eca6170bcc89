namespace Dbt.Xen;

/// <summary>What is left of a crashed guest for a person to read: reason, registers, disassembly around EIP, stack trace.</summary>
/// <param name="Reason">One line.</param>
/// <param name="Text">Registers, disassembly and stack, many lines.</param>
public sealed record CrashReport(string Reason, string Text)
{
    internal static CrashReport Capture(Domain domain, Vcpu? vcpu, string reason) => new(reason, "");
}
