/// The input itself.
public final class Identity: Module {
    public override init() {}
}
