namespace Dbt.Tests.Packages;

/// <summary>A theory that needs files of Debian packages; see <see cref="RequiresPackageFactAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RequiresPackageTheoryAttribute : TheoryAttribute
{
    /// <param name="references">As package:NAME/PATH; see <see cref="DebianFiles"/>.</param>
    public RequiresPackageTheoryAttribute(params string[] references) =>
        Skip = references.Select(DebianFiles.WhyNot).FirstOrDefault(reason => reason is not null);
}
